"""A handicap puts a server among the others, never behind them, and is over in a minute."""

from hypothesis import given
from hypothesis import strategies as st

from meetingpool.domain.slow_start import SLOW_START, handicap

loads = st.floats(0, 1e6)
times = st.floats(0, 1e6)


@given(load=loads, usual=loads, online_for=times)
def test_server_counts_as_what_it_carries_at_least_and_as_what_is_usual_at_most(
    load: float, usual: float, online_for: float
) -> None:
    counted = load + handicap(load, usual, online_for)

    assert load <= counted <= max(load, usual) * (1 + 1e-9)


@given(load=loads, usual=loads, one=times, other=times)
def test_server_never_counts_more_for_being_online_longer(load: float, usual: float, one: float, other: float) -> None:
    earlier, later = sorted((one, other))

    assert handicap(load, usual, later) <= handicap(load, usual, earlier)


@given(load=loads, usual=loads, online_for=st.floats(SLOW_START, 1e9))
def test_handicap_is_over_in_a_minute(load: float, usual: float, online_for: float) -> None:
    assert handicap(load, usual, online_for) == 0


@given(load=loads, usual=loads)
def test_server_that_just_came_online_counts_as_the_others_do(load: float, usual: float) -> None:
    assert handicap(load, usual, 0) == max(0, usual - load)
