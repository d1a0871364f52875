"""Identical reads under way at the same moment share one request to the server."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class SharedReads:
    """Reads by their keys. Whatever an answer depends on belongs into its key, so that a change is never answered from before."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Task[Any]] = {}

    async def read(self, key: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask` returns or raises: that of the call under way for `key`, or of a new one.

        It goes on to its end when the caller is cancelled, since others may wait for it.
        """
        reading = self._under_way.get(key)
        if reading is None:
            reading = asyncio.ensure_future(_call(ask))
            self._under_way[key] = reading
            reading.add_done_callback(lambda done: self._finished(key, done))
        answer: T = await asyncio.shield(reading)
        return answer

    def _finished(self, key: Hashable, done: "asyncio.Task[Any]") -> None:
        del self._under_way[key]
        if not done.cancelled():
            # Looked at here, in case everybody who waited for it has gone.
            done.exception()


async def _call(ask: Callable[[], Awaitable[T]]) -> T:
    return await ask()
