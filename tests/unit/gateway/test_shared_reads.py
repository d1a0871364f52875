"""Reads of the same thing at the same moment are one request; a failure or a caller who leaves concerns only those it should."""

import asyncio

import pytest

from gateway.shared_reads import SharedReads


class Asked:
    """Counts how often it was asked, and answers when told to."""

    def __init__(self) -> None:
        self.times = 0
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def __call__(self) -> str:
        self.times += 1
        return await self.answer


async def test_reads_under_way_at_the_same_moment_are_one_request() -> None:
    reads, asked = SharedReads(), Asked()
    reading = [asyncio.create_task(reads.read("key", asked)) for _ in range(10)]
    await asyncio.sleep(0)
    asked.answer.set_result("an answer")
    assert await asyncio.gather(*reading) == ["an answer"] * 10
    assert asked.times == 1


async def test_an_answer_is_not_kept() -> None:
    reads = SharedReads()
    for _ in range(2):
        asked = Asked()
        asked.answer.set_result("an answer")
        await reads.read("key", asked)
        assert asked.times == 1


async def test_reads_of_different_things_are_different_requests() -> None:
    reads, asked = SharedReads(), Asked()
    reading = [asyncio.create_task(reads.read(key, asked)) for key in ("a", "b")]
    await asyncio.sleep(0)
    asked.answer.set_result("an answer")
    await asyncio.gather(*reading)
    assert asked.times == 2


async def test_a_failure_reaches_everybody_who_waited_and_nobody_later() -> None:
    reads, asked = SharedReads(), Asked()
    reading = [asyncio.create_task(reads.read("key", asked)) for _ in range(2)]
    await asyncio.sleep(0)
    asked.answer.set_exception(OSError("gone"))
    assert [type(error) for error in await asyncio.gather(*reading, return_exceptions=True)] == [OSError, OSError]
    again = Asked()
    again.answer.set_result("an answer")
    assert await reads.read("key", again) == "an answer"


async def test_a_caller_who_leaves_takes_no_answer_from_the_others() -> None:
    reads, asked = SharedReads(), Asked()
    leaving, staying = (asyncio.create_task(reads.read("key", asked)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    asked.answer.set_result("an answer")
    assert await staying == "an answer"
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_a_failure_that_nobody_waits_for_any_more_is_no_warning() -> None:
    reads, asked = SharedReads(), Asked()
    reading = asyncio.create_task(reads.read("key", asked))
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    asked.answer.set_exception(OSError("gone"))
    await asyncio.sleep(0)
