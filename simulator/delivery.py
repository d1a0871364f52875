"""Delivers what one server tells others: each call in the background, webhooks in the order of their events.

The host of a server hands it the calls, and has it give up what is under way when the server restarts or stops.
"""

import asyncio
import logging
from collections import defaultdict
from urllib.parse import urljoin, urlsplit

from simulator.http_request import NotReached, Received, request
from simulator.outward_calls import OutwardCall
from simulator.server import SimulatedServer

ANSWER_SECONDS = 10.0

# These keep method and body; after any other the redirect is followed with a GET.
_REPEATED_AS_IT_WAS = (307, 308)
_REDIRECTS = (301, 302, 303, *_REPEATED_AS_IT_WAS)

_log = logging.getLogger(__name__)


class Delivery:
    """How calls went is counted in the server's `outward_counts`: by kind, `…_attempted`, `…_delivered` and `…_failed`."""

    def __init__(self, server: SimulatedServer, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        """`answer_seconds` is what one attempt may take."""
        self._server = server
        self._answer_seconds = answer_seconds
        self._under_way: set[asyncio.Task[None]] = set()
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def start(self, call: OutwardCall) -> None:
        """Returns at once."""
        task = asyncio.get_running_loop().create_task(self._deliver_in_turn(call))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def give_up(self) -> None:
        """Forgets every call that is under way, waits to be repeated, or waits for its turn."""
        given_up = list(self._under_way)
        for task in given_up:
            task.cancel()
        await asyncio.gather(*given_up, return_exceptions=True)
        self._turns.clear()

    async def _deliver_in_turn(self, call: OutwardCall) -> None:
        if call.hook_id is None:
            await self._deliver_as_often_as_told(call)
            return
        # A lock lets those in first who came first.
        async with self._turns[call.hook_id]:
            if self._is_wanted(call):
                await self._deliver_as_often_as_told(call)
        if not self._is_wanted(call):
            self._turns.pop(call.hook_id, None)

    async def _deliver_as_often_as_told(self, call: OutwardCall) -> None:
        await asyncio.sleep(call.delay)
        for _ in range(2 if call.is_sent_twice else 1):
            if not await self._deliver(call):
                self._fail(call)
                return
            self._server.outward_counts[f"{call.kind}_delivered"] += 1

    async def _deliver(self, call: OutwardCall) -> bool:
        """Whether an attempt succeeded in the end."""
        pauses = iter(call.pauses)
        while not await self._attempt(call):
            pause = next(pauses, call.then_every)
            if pause is None:
                return False
            await asyncio.sleep(pause * self._server.retry_factor)
            if not self._is_wanted(call):
                return False
        return True

    async def _attempt(self, call: OutwardCall) -> bool:
        self._server.outward_counts[f"{call.kind}_attempted"] += 1
        try:
            received = await self._send(call)
        except NotReached:
            return False
        return 200 <= received.status < 300 or received.status in call.also_accepted

    async def _send(self, call: OutwardCall) -> Received:
        """The reply at the end of the redirects that the call may follow. Raises NotReached."""
        url, body, headers = call.url, call.body, call.headers
        received = await request(url, body=body, headers=headers, deadline=self._answer_seconds)
        for _ in range(call.max_redirects):
            if received.status not in _REDIRECTS or received.location is None:
                break
            target = urljoin(url, received.location)
            if urlsplit(target).netloc != urlsplit(url).netloc:
                headers = tuple((name, value) for name, value in headers if name != "Authorization")
            body = body if received.status in _REPEATED_AS_IT_WAS else b""
            url = target
            received = await request(url, body=body, headers=headers, deadline=self._answer_seconds)
        return received

    def _is_wanted(self, call: OutwardCall) -> bool:
        """A hook may have been removed while its events waited."""
        return call.hook_id is None or call.hook_id in self._server.hooks

    def _fail(self, call: OutwardCall) -> None:
        self._server.outward_counts[f"{call.kind}_failed"] += 1
        _log.warning("outward_call_failed server=%s kind=%s", self._server.name, call.kind)
        if call.hook_id is not None:
            self._server.hooks.pop(call.hook_id, None)
