"""What touches the storage of recordings does so in a few threads of its own, with a deadline and without a long line.

A storage on the network may stand still. Then these threads do, and playback is refused; every other call goes on.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

T = TypeVar("T")

DEADLINE = 10.0
THREADS = 8
MAX_CALLS = 72


class StorageBusy(Exception):
    """So much waits for the storage already, or this waited for so long, that it has to be given up."""


@dataclass(frozen=True, slots=True)
class _Task(Generic[T]):
    """`unwanted` takes a result for which nobody waits any more."""

    call: Callable[[], T]
    future: "asyncio.Future[T]"
    unwanted: Callable[[T], object]


class StorageThreads:
    """Up to `threads` calls at once, the others of `calls` in a line. Threads are started when they are needed first."""

    def __init__(self, *, threads: int = THREADS, calls: int = MAX_CALLS, deadline: float = DEADLINE) -> None:
        self._most_threads = threads
        self._most_calls = calls
        self._deadline = deadline
        self._queue: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._calls = 0

    async def run(self, call: Callable[[], T], unwanted: Callable[[T], object]) -> T:
        """What `call` returns or raises. Raises StorageBusy; then `call` may still run, and `unwanted` takes what it returns."""
        if self._calls >= self._most_calls:
            raise StorageBusy
        loop = asyncio.get_running_loop()
        task = _Task(call, loop.create_future(), unwanted)
        self._calls += 1
        self._put(lambda: self._perform(task, loop))
        try:
            return await asyncio.wait_for(task.future, self._deadline)
        except TimeoutError:
            raise StorageBusy from None

    def later(self, call: Callable[[], object]) -> None:
        """Runs `call`, which must not fail, when a thread is free. For what has to be done, bounded by what was done before."""
        self._put(call)

    def close(self) -> None:
        """Ends the threads that do not hang."""
        for _ in self._threads:
            self._queue.put(None)

    def _put(self, call: Callable[[], object]) -> None:
        self._queue.put(call)
        if len(self._threads) < min(self._most_threads, max(1, self._calls)):
            # One that hangs must not keep the process from ending.
            thread = Thread(target=self._work, name="storage", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while (call := self._queue.get()) is not None:
            call()
            # What it holds must not stay until the next one comes.
            del call

    def _perform(self, task: _Task[T], loop: asyncio.AbstractEventLoop) -> None:
        """In a thread."""
        result: list[T] = []
        error: Exception | None = None
        try:
            if not task.future.cancelled():
                result.append(task.call())
        except Exception as failure:  # noqa: BLE001
            # Whatever it is, it is for whoever waits: a thread that ended would be missing.
            error = failure
        try:
            loop.call_soon_threadsafe(self._deliver, task, result, error)
        except RuntimeError:  # The process ends.
            for each in result:
                task.unwanted(each)

    def _deliver(self, task: _Task[T], result: list[T], error: Exception | None) -> None:
        self._calls -= 1
        if not task.future.done():
            if error:
                task.future.set_exception(error)
            else:
                task.future.set_result(result[0])
        else:
            for each in result:
                self.later(lambda: task.unwanted(each))  # noqa: B023
