"""The nemesis for longer, with many seeds."""

import pytest

from tests.faults.test_nemesis import everything_at_once, shorten_grace


@pytest.mark.parametrize("seed", range(100, 120))
async def test_long(database_url: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shorten_grace(monkeypatch)
    await everything_at_once(database_url, seed, 25.0)
