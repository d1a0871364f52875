"""What asks for the same at nearly the same moment is asked in one statement; whoever comes alone does not wait."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from meetingpool.database.engine import DatabaseUnavailable
from meetingpool.operations.together import PAUSE, Together


class Statements:
    """Answers every question with its double, but together not those that are held."""

    def __init__(self) -> None:
        self.alone: list[int] = []
        self.together: list[list[int]] = []
        self.held: set[int] = set()
        self.failure: Exception | None = None
        self.group = Together(self._ask_all, self._ask)

    async def ask(self, number: int) -> int:
        return await self.group.ask(number, number)

    async def _ask(self, number: int) -> int:
        self.alone.append(number)
        return 2 * number

    async def _ask_all(self, numbers: Sequence[int]) -> Mapping[int, int]:
        self.together.append(list(numbers))
        await asyncio.sleep(0)
        if self.failure:
            raise self.failure
        return {number: 2 * number for number in numbers if number not in self.held}


@pytest.fixture
def statements() -> Statements:
    return Statements()


async def test_whoever_comes_alone_asks_alone(statements: Statements) -> None:
    assert await statements.ask(1) == 2
    await asyncio.sleep(2 * PAUSE)
    assert await statements.ask(2) == 4
    assert (statements.alone, statements.together) == ([1, 2], [])


async def test_those_that_come_at_once_ask_together(statements: Statements) -> None:
    assert await asyncio.gather(*map(statements.ask, range(1, 6))) == [2, 4, 6, 8, 10]
    assert (statements.alone, statements.together) == ([1], [[2, 3, 4, 5]])


async def test_what_is_held_is_asked_for_alone_afterwards(statements: Statements) -> None:
    statements.held = {3}
    assert await asyncio.gather(*map(statements.ask, (1, 2, 3))) == [2, 4, 6]
    assert (statements.alone, statements.together) == ([1, 3], [[2, 3]])


async def test_two_that_are_about_the_same_are_never_in_one_statement(statements: Statements) -> None:
    assert await asyncio.gather(*map(statements.ask, (1, 2, 2, 3))) == [2, 4, 4, 6]
    assert (statements.alone, statements.together) == ([1, 2], [[2, 3]])


async def test_when_the_database_is_away_everybody_is_told(statements: Statements) -> None:
    statements.failure = DatabaseUnavailable()
    answers = await asyncio.gather(*map(statements.ask, (1, 2, 3)), return_exceptions=True)
    assert answers[0] == 2
    assert [type(answer) for answer in answers[1:]] == [DatabaseUnavailable, DatabaseUnavailable]


async def test_what_is_wrong_with_one_is_not_the_others(statements: Statements) -> None:
    statements.failure = ValueError()
    assert await asyncio.gather(*map(statements.ask, (1, 2, 3))) == [2, 4, 6]
    assert (statements.alone, statements.together) == ([1, 2, 3], [[2, 3]])


async def test_one_that_gives_up_takes_no_other_along(statements: Statements) -> None:
    first, *asking = [asyncio.create_task(statements.ask(number)) for number in (1, 2, 3)]
    await first
    asking[0].cancel()
    assert await asking[1] == 6
    assert statements.together == [[3]]
