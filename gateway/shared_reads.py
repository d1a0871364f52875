"""Identical reads share one request to a server: while it is under way, and for the moment that its answer counts as fresh."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class _Abandoned(Exception):
    """Whoever was asking was cancelled; those who waited for the answer ask anew."""


class SharedReads:
    """Reads by their subject and key. Whatever an answer depends on belongs into the key: a change is never answered from before.

    `fresh_for`: seconds, counted from when it was asked for, during which an answer serves again; 0: only while it is under way.
    """

    def __init__(self, fresh_for: float = 0.0) -> None:
        self._fresh_for = fresh_for
        self._reads: dict[Hashable, dict[Hashable, asyncio.Future[Any]]] = {}

    async def read(self, subject: Hashable, key: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask` returns or raises: that of a read before that is under way or fresh, or of a new one."""
        while (reading := self._reads.get(subject, {}).get(key)) is not None:
            with suppress(_Abandoned):
                answer: T = reading.result() if reading.done() else await asyncio.shield(reading)
                return answer
        return await self._ask(subject, key, ask)

    def drop(self, subject: Hashable) -> None:
        """What was read about `subject` so far serves nobody who asks from now on."""
        self._reads.pop(subject, None)

    async def _ask(self, subject: Hashable, key: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
        loop = asyncio.get_running_loop()
        reading: asyncio.Future[T] = loop.create_future()
        self._reads.setdefault(subject, {})[key] = reading
        began = loop.time()
        try:
            answer = await ask()
        except BaseException as error:
            self._remove(subject, key, reading)
            reading.set_exception(error if isinstance(error, Exception) else _Abandoned())
            # Looked at here, in case nobody else waits for it.
            reading.exception()
            raise
        reading.set_result(answer)
        if self._fresh_for:
            loop.call_at(began + self._fresh_for, self._remove, subject, key, reading)
        else:
            self._remove(subject, key, reading)
        return answer

    def _remove(self, subject: Hashable, key: Hashable, reading: "asyncio.Future[Any]") -> None:
        reads = self._reads.get(subject)
        if reads is not None and reads.get(key) is reading:
            del reads[key]
            if not reads:
                del self._reads[subject]
