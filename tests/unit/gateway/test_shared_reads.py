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
        return await asyncio.shield(self.answer)


async def test_reads_under_way_at_the_same_moment_are_one_request() -> None:
    reads, asked = SharedReads(), Asked()
    reading = [asyncio.create_task(reads.read("subject", "key", asked)) for _ in range(10)]
    await asyncio.sleep(0)
    asked.answer.set_result("an answer")
    assert await asyncio.gather(*reading) == ["an answer"] * 10
    assert asked.times == 1


async def test_a_fresh_answer_serves_again_and_is_then_forgotten() -> None:
    reads, asked = SharedReads(fresh_for=0.05), Asked()
    asked.answer.set_result("an answer")
    assert [await reads.read("subject", "key", asked) for _ in range(3)] == ["an answer"] * 3
    assert asked.times == 1
    await asyncio.sleep(0.06)
    await reads.read("subject", "key", asked)
    assert asked.times == 2


async def test_freshness_counts_from_when_the_answer_was_asked_for() -> None:
    reads, asked = SharedReads(fresh_for=0.05), Asked()
    reading = asyncio.create_task(reads.read("subject", "key", asked))
    await asyncio.sleep(0.06)
    asked.answer.set_result("a late answer")
    await reading
    await asyncio.sleep(0)
    await reads.read("subject", "key", asked)
    assert asked.times == 2


async def test_what_was_read_of_a_subject_before_it_was_dropped_serves_nobody_later() -> None:
    reads, before, after = SharedReads(fresh_for=1.0), Asked(), Asked()
    under_way = asyncio.create_task(reads.read("subject", "key", before))
    await asyncio.sleep(0)
    reads.drop("subject")
    after.answer.set_result("after")
    assert await reads.read("subject", "key", after) == "after"
    before.answer.set_result("before")
    assert await under_way == "before"
    assert await reads.read("subject", "key", before) == "after"


async def test_a_failure_is_not_fresh() -> None:
    reads, asked, again = SharedReads(fresh_for=1.0), Asked(), Asked()
    asked.answer.set_exception(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        await reads.read("subject", "key", asked)
    again.answer.set_result("an answer")
    assert await reads.read("subject", "key", again) == "an answer"


async def test_an_answer_is_not_kept_without_freshness() -> None:
    reads = SharedReads()
    for _ in range(2):
        asked = Asked()
        asked.answer.set_result("an answer")
        await reads.read("subject", "key", asked)
        assert asked.times == 1


async def test_reads_of_different_things_are_different_requests() -> None:
    reads, asked = SharedReads(), Asked()
    reading = [asyncio.create_task(reads.read("subject", key, asked)) for key in ("a", "b")]
    await asyncio.sleep(0)
    asked.answer.set_result("an answer")
    await asyncio.gather(*reading)
    assert asked.times == 2


async def test_a_failure_reaches_everybody_who_waited_and_nobody_later() -> None:
    reads, asked = SharedReads(), Asked()
    reading = [asyncio.create_task(reads.read("subject", "key", asked)) for _ in range(2)]
    await asyncio.sleep(0)
    asked.answer.set_exception(OSError("gone"))
    assert [type(error) for error in await asyncio.gather(*reading, return_exceptions=True)] == [OSError, OSError]
    again = Asked()
    again.answer.set_result("an answer")
    assert await reads.read("subject", "key", again) == "an answer"


async def test_a_caller_who_leaves_takes_no_answer_from_the_others() -> None:
    reads, asked = SharedReads(), Asked()
    leaving, staying = (asyncio.create_task(reads.read("subject", "key", asked)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    asked.answer.set_result("an answer")
    assert await staying == "an answer"
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_a_failure_that_nobody_waits_for_any_more_is_no_warning() -> None:
    reads, asked = SharedReads(), Asked()
    reading = asyncio.create_task(reads.read("subject", "key", asked))
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    again = Asked()
    again.answer.set_result("an answer")
    assert await reads.read("subject", "key", again) == "an answer"
