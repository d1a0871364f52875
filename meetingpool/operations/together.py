"""Lets callers that ask for the same kind of thing at nearly the same moment ask in one statement. Used by place_meeting.

Whoever comes alone asks at once and alone. Under load the database is woken less often, which is most of what a statement costs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

from meetingpool.database.engine import DatabaseUnavailable
from meetingpool.logs import get_logger

Key = TypeVar("Key")
Asked = TypeVar("Asked")
Answered = TypeVar("Answered")

# Seconds between two statements: what comes meanwhile goes together.
PAUSE = 0.005

log = get_logger()


class Together(Generic[Key, Asked, Answered]):
    """`ask_all`: the answers by their keys, without those for which somebody would have to be waited for; `ask`: one, waiting."""

    def __init__(
        self,
        ask_all: Callable[[Sequence[Asked]], Awaitable[Mapping[Key, Answered]]],
        ask: Callable[[Asked], Awaitable[Answered]],
    ) -> None:
        self._ask_all = ask_all
        self._ask = ask
        self._waiting: dict[Key, tuple[Asked, asyncio.Future[Answered | None]]] = {}
        self._next_at = 0.0
        # How many wait for an answer that they share a statement for.
        self.callers = 0
        self._asking: set[asyncio.Task[None]] = set()

    async def ask(self, key: Key, asked: Asked) -> Answered:
        """The answer to `asked`, which is about `key`. Of one key, one at a time is asked together with others."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if key in self._waiting or (not self._waiting and now >= self._next_at):
            self._next_at = max(self._next_at, now + PAUSE)
            return await self._ask(asked)
        if not self._waiting:
            loop.call_at(self._next_at, self._send)
        answer: asyncio.Future[Answered | None] = loop.create_future()
        self._waiting[key] = asked, answer
        self.callers += 1
        try:
            found = await answer
        finally:
            self.callers -= 1
        return await self._ask(asked) if found is None else found

    def _send(self) -> None:
        loop = asyncio.get_running_loop()
        waiting, self._waiting = self._waiting, {}
        self._next_at = loop.time() + PAUSE
        task = loop.create_task(self._answer(waiting))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _answer(self, waiting: Mapping[Key, tuple[Asked, "asyncio.Future[Answered | None]"]]) -> None:
        wanted = {key: each for key, each in waiting.items() if not each[1].done()}
        try:
            found = await self._ask_all([asked for asked, _ in wanted.values()])
        except asyncio.CancelledError:
            for _, answer in wanted.values():
                answer.cancel()
            raise
        except DatabaseUnavailable as error:
            for _, answer in wanted.values():
                if not answer.done():
                    answer.set_exception(error)
            return
        except Exception:
            # One of them may be what is wrong: each finds out for itself.
            log.exception("not_asked_together", number=len(wanted))
            found = {}
        for key, (_, answer) in wanted.items():
            if not answer.done():
                answer.set_result(found.get(key))
