"""A pool for tests that are no coroutines: its event loop turns while somebody waits for something, and stands still otherwise.

For Hypothesis, which runs a test hundreds of times, and for long tables of requests: the pool is put together once for all.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, TypeVar

from lxml import etree
from starlette.types import ASGIApp

from gateway.limits import BoundedRequests
from gateway.state import Gateway
from tests.databases import cloned_database
from tests.pool import SECRET, RunningPool, running_pool
from tests.wire import Answered, Request, exchange, signed_target

T = TypeVar("T")


class SteppedPool:
    """A pool and one gateway of it. What is awaited here, everybody else in the pool goes on with as well."""

    def __init__(self, pool: RunningPool, gateway: Gateway, runner: asyncio.Runner) -> None:
        self.pool = pool
        self.gateway = gateway
        # What the gateway's process serves.
        self.app: ASGIApp = BoundedRequests(pool.application(gateway), pool.settings.max_requests)
        self._runner = runner

    def run(self, waiting: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(waiting)

    def send(self, request: Request) -> Answered:
        return self.run(exchange(self.app, request))

    def get(self, call: str, query: bytes, algorithm: str = "sha256") -> Answered:
        """A call with this query, rightly signed."""
        return self.send(Request(target=signed_target(call.encode(), query, SECRET.encode(), algorithm)))


@contextmanager
def stepped_pool(template_url: str, **settings: Any) -> Iterator[SteppedPool]:
    """A pool with a database of its own."""
    with asyncio.Runner() as runner:
        opened = _pool_and_gateway(template_url, **settings)
        pool, gateway = runner.run(_opened(opened))
        try:
            yield SteppedPool(pool, gateway, runner)
        finally:
            runner.run(_closed(opened))


@asynccontextmanager
async def _pool_and_gateway(template_url: str, **settings: Any) -> AsyncIterator[tuple[RunningPool, Gateway]]:
    async with cloned_database(template_url) as database_url, running_pool(database_url, **settings) as pool:
        yield pool, (await pool.front_end()).gateway


async def _opened(context: AbstractAsyncContextManager[T]) -> T:
    return await context.__aenter__()


async def _closed(context: AbstractAsyncContextManager[Any]) -> None:
    await context.__aexit__(None, None, None)


def document(answer: Answered) -> "etree._Element":
    """The root of an answer of the API, which is XML with status 200 whatever it says."""
    assert (answer.status, answer.headers[b"content-type"]) == (200, b"text/xml;charset=utf-8")
    return etree.fromstring(answer.body)
