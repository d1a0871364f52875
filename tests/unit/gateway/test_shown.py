"""Who watches the pool leaves an entry an hour."""

from gateway.scalelite_api.shown import Shown


def test_the_same_is_due_again_after_an_hour() -> None:
    shown = Shown(every=3600.0)
    assert shown.is_due("servers to 192.0.2.1", 10.0)
    shown.note("servers to 192.0.2.1", 10.0)
    assert not shown.is_due("servers to 192.0.2.1", 3609.0)
    assert shown.is_due("servers to 192.0.2.1", 3610.0)
    assert shown.is_due("servers to 192.0.2.2", 11.0)


def test_what_was_forgotten_for_lack_of_room_is_due_again() -> None:
    shown = Shown(capacity=2)
    for what in ("a", "b", "a", "c"):
        shown.note(what, 0.0)
    assert [what for what in "abc" if shown.is_due(what, 1.0)] == ["b"]
