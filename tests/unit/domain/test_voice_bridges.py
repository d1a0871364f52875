from itertools import count
from random import Random, SystemRandom

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetingpool.domain.voice_bridges import LONGEST, RESERVED, SHORTEST, bridge_of_pin, is_usable, new_voice_bridge


@given(st.integers(), st.integers(1, LONGEST))
def test_new_bridge_has_the_length_that_is_asked_for_and_begins_with_no_zero(seed: int, length: int) -> None:
    bridge = new_voice_bridge(Random(seed), length)

    assert len(bridge) == length
    assert bridge.isascii()
    assert bridge.isdigit()
    assert bridge[0] != "0"


@given(st.integers(), st.integers(SHORTEST, LONGEST))
def test_new_bridge_is_one_that_a_front_end_could_ask_for(seed: int, length: int) -> None:
    assert is_usable(new_voice_bridge(Random(seed), length))


def test_every_first_digit_comes_up() -> None:
    rng = Random(1)

    assert {new_voice_bridge(rng, 1) for _ in range(500)} == set("123456789")


def test_reserved_bridge_is_never_given_out() -> None:
    unlucky = next(seed for seed in count() if Random(seed).randrange(10_000, 100_000) == int(RESERVED))

    assert new_voice_bridge(Random(unlucky), 5) != RESERVED


def test_new_bridges_cannot_be_foretold() -> None:
    assert len({new_voice_bridge(SystemRandom(), 9) for _ in range(100)}) > 95


@pytest.mark.parametrize("bridge", ["12345", "70757", "012345", "999999", "1" * SHORTEST, "1" * LONGEST])
def test_digits_of_a_dialable_length_are_usable(bridge: str) -> None:
    assert is_usable(bridge)


@pytest.mark.parametrize(
    "bridge",
    [
        "",
        "1234",
        "1" * (LONGEST + 1),
        "1" * 100_000,
        "12345a",
        "+12345",
        " 12345",
        "12345\n",
        "12 345",
        "-12345",
        "1e10",
        RESERVED,
    ],
)
def test_anything_else_is_not(bridge: str) -> None:
    assert not is_usable(bridge)


@pytest.mark.parametrize("bridge", ["\u0661\u0662\u0663\u0664\u0665", "\uff11\uff12\uff13\uff14\uff15", "\xb2" * 5, "1234\u096b"])
def test_digits_that_no_telephone_has_are_not_usable(bridge: str) -> None:
    assert not is_usable(bridge)


@pytest.mark.parametrize(
    ("pin", "bridges"),
    [
        ("594582149", ("594582149", "59458214")),
        ("123456", ("123456", "12345")),
        ("12345", ("12345",)),
        ("1", ("1",)),
        ("1" * (LONGEST + 1), ("1" * (LONGEST + 1), "1" * LONGEST)),
    ],
)
def test_pin_is_of_a_meeting_or_of_a_breakout_room_of_one(pin: str, bridges: tuple[str, ...]) -> None:
    assert bridge_of_pin(pin) == bridges


@pytest.mark.parametrize("pin", ["", "12345a", "123456*", "${pin}", "12345\n", "1" * (LONGEST + 2), "\uff11" * 6])
def test_what_is_no_pin_leads_to_no_bridge(pin: str) -> None:
    assert bridge_of_pin(pin) == ()
