"""The ASGI application of one simulated server: takes a call, lets its faults have their way, and replies.

The fleet runs one on each port. Control requests go to `control` and are never touched by a fault.
"""

import asyncio
import contextlib
from typing import Any

from simulator import api
from simulator.exchange import Exchange
from simulator.faults import Faults
from simulator.replies import Reply, failure_reply, html_reply, spoil
from simulator.requests import Request
from simulator.server import SimulatedServer


class Application:
    def __init__(self, server: SimulatedServer, control: Any) -> None:
        """`control` is the ASGI application that answers below `/simulator/`."""
        self._server = server
        self._control = control

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        # A restart cancels what is in flight; uvicorn would log that as a crash.
        with contextlib.suppress(asyncio.CancelledError):
            if scope["path"].startswith("/simulator/"):
                await self._control(scope, receive, send)
            else:
                await self._answer(Exchange(scope, receive, send), scope["path"])

    async def _answer(self, exchange: Exchange, path: str) -> None:
        name = api.call_of(path)
        if name is None:
            await exchange.send(html_reply(404, "There is nothing here."))
            return
        if self._server.on_request:
            self._server.on_request(self._server, name)
        faults = self._server.faults_of(name)
        if faults.drop_before:
            await exchange.drop()
            return
        request = await exchange.read_request()
        if faults.latency:
            await asyncio.sleep(faults.latency)
        if faults.hang:
            api.record(self._server, name, request)
            await exchange.keep_silent()
            return
        await self._reply(exchange, self._act(name, request, faults), faults)

    def _act(self, name: str, request: Request, faults: Faults) -> Reply:
        if faults.http_status is not None:
            api.record(self._server, name, request)
            return html_reply(faults.http_status, "The simulated server was told to fail.")
        if faults.body == "failed":
            api.record(self._server, name, request)
            return failure_reply()
        reply = api.answer(self._server, name, request)
        return spoil(reply, faults.body) if faults.body else reply

    async def _reply(self, exchange: Exchange, reply: Reply, faults: Faults) -> None:
        if faults.reply_delay:
            await asyncio.sleep(faults.reply_delay)
        if faults.drop_after:
            await exchange.drop()
        elif faults.hang_mid_body:
            await exchange.send_half(reply)
        elif faults.drip:
            await exchange.drip(reply)
        else:
            await exchange.send(reply)
