"""Tells streams of this process what it hears from the database: those of the dashboard and of the management API.

The pool view hears it over its one connection; with nobody listening here, telling costs a look at an empty set.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# What a listener that is slow has waiting; of more, the oldest is dropped, and it is told so.
MAX_WAITING = 1000

# As meetingpool.database.notifications sends it: `kind` and `items`.
Message = dict[str, Any]

# What is told after everything was loaded anew: whatever a listener knows may be old.
RELOADED: Message = {"kind": "reloaded", "items": []}


class Listener:
    """What was told and not yet taken."""

    def __init__(self) -> None:
        self._waiting: deque[Message] = deque(maxlen=MAX_WAITING)
        self._told = asyncio.Event()

    async def take(self) -> list[Message]:
        """All that was told since the last time, the oldest first; waits until there is something.

        Begins with RELOADED when some of it was dropped.
        """
        await self._told.wait()
        return self.take_now()

    def take_now(self) -> list[Message]:
        """As `take`, without waiting."""
        self._told.clear()
        taken = list(self._waiting)
        self._waiting.clear()
        return [RELOADED, *taken] if len(taken) == MAX_WAITING else taken

    def tell(self, message: Message) -> None:
        self._waiting.append(message)
        self._told.set()


class Broadcast:
    """Those of a process who listen."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()

    def tell(self, message: Message) -> None:
        for listener in self._listeners:
            listener.tell(message)

    @contextmanager
    def listening(self) -> Iterator[Listener]:
        listener = Listener()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
