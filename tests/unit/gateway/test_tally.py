"""What happens often is logged once a minute for each source, and nothing is lost from the count."""

from gateway.tally import Tally


def test_the_first_is_logged_at_once_and_the_others_together() -> None:
    tally = Tally(every=60)
    assert [tally.note("a", now) for now in (0.0, 1.0, 59.9, 60.0, 61.0, 120.0)] == [1, 0, 0, 3, 0, 2]


def test_sources_are_counted_apart() -> None:
    tally = Tally(every=60)
    assert [tally.note("a", 0.0), tally.note("b", 1.0), tally.note("b", 2.0), tally.note("a", 60.0)] == [1, 1, 0, 1]


def test_so_many_sources_fill_the_log_and_no_more() -> None:
    tally = Tally(every=60, capacity=3)
    assert sum(tally.note(str(source), 0.0) for source in range(100)) == 3
    assert [tally.note("new", 30.0), tally.note("new", 61.0)] == [0, 1]


def test_a_source_that_goes_on_keeps_its_place() -> None:
    tally = Tally(every=60, capacity=2)
    tally.note("a", 0.0)
    tally.note("b", 10.0)
    assert tally.note("a", 60.0) == 1
    assert tally.note("c", 65.0) == 0
    assert tally.note("c", 70.0) == 1
    assert tally.note("a", 119.0) == 0
