"""Lengths of time as people write them."""

from datetime import timedelta

import pytest

from meetingpool.domain.lengths import LONGEST, read_length


@pytest.mark.parametrize(
    ("text", "length"),
    [("90d", timedelta(days=90)), ("12h", timedelta(hours=12)), (" 30m ", timedelta(minutes=30)), ("3650d", LONGEST)],
)
def test_a_length_is_a_number_and_a_unit(text: str, length: timedelta) -> None:
    assert read_length(text) == length


@pytest.mark.parametrize("text", ["", "0d", "-1d", "1", "d", "1w", "1.5h", "1 d", "3651d", "999999d", "٣d", "1d\n1d"])
def test_all_else_is_none(text: str) -> None:
    assert read_length(text) is None
