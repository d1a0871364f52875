"""When administrators are told, and how they know that it was us."""

import hashlib
import hmac
import json
from datetime import datetime, timedelta, timezone

import pytest

from meetingpool.domain.alerts import (
    POOL,
    QUIET_FOR,
    STABLE_FOR,
    Alert,
    AlertKey,
    AlertKind,
    AlertRules,
    Standing,
    Turns,
    WatchedServer,
    signature,
    turns,
)
from meetingpool.domain.servers import AdminState, Health, ServerId

OFFLINE = AlertKey(AlertKind.SERVER_OFFLINE, "s1")
UNAVAILABLE = AlertKey(AlertKind.POOL_UNAVAILABLE, POOL)
NEARLY_FULL = AlertKey(AlertKind.POOL_NEARLY_FULL, POOL)
GIVEN_UP = AlertKey(AlertKind.CALLBACK_GIVEN_UP, "school")
NO_RULES = AlertRules()


def server(
    name: str = "s1",
    health: Health = Health.ONLINE,
    admin_state: AdminState = AdminState.ENABLED,
    *,
    failures: int = 0,
    load: float = 0.0,
) -> WatchedServer:
    return WatchedServer(
        id=ServerId(name),
        admin_state=admin_state,
        health=health,
        failures=failures,
        load=load,
        meetings=3,
        users=40,
        error="no connection" if failures else None,
    )


WELL = server("s2")


@pytest.mark.parametrize("health", [Health.OFFLINE, Health.DEAD])
def test_a_server_that_went_offline_is_told_with_what_it_carries(health: Health) -> None:
    changed = turns([server(health=health, failures=3), WELL], [], NO_RULES)
    assert changed == Turns(begun={OFFLINE: {"health": health, "reason": "no connection", "meetings": 3, "people": 40}})


@pytest.mark.parametrize(
    "quiet",
    [
        server(health=Health.SUSPECT, failures=2),
        server(health=Health.OFFLINE, admin_state=AdminState.DISABLED, failures=9),
        # It was added, and nobody has asked it yet; or it answers again, and is held down.
        server(health=Health.OFFLINE, failures=0),
    ],
)
def test_what_is_no_outage_is_not_told(quiet: WatchedServer) -> None:
    assert turns([quiet, WELL], [], NO_RULES) == Turns()


def test_a_server_that_stays_offline_is_told_once() -> None:
    assert turns([server(health=Health.OFFLINE, failures=30), WELL], [Standing(OFFLINE, None)], NO_RULES) == Turns()
    held_down = server(health=Health.OFFLINE, failures=0)
    assert turns([held_down, WELL], [Standing(OFFLINE, None)], NO_RULES) == Turns()


def test_a_server_is_told_to_be_online_when_it_was_for_a_while() -> None:
    servers = [server(), WELL]
    assert turns(servers, [Standing(OFFLINE, None)], NO_RULES) == Turns(ceasing=[OFFLINE])
    assert turns(servers, [Standing(OFFLINE, STABLE_FOR - 1)], NO_RULES) == Turns()
    assert turns(servers, [Standing(OFFLINE, STABLE_FOR)], NO_RULES) == Turns(over=[OFFLINE])


def test_a_server_that_comes_and_goes_is_told_once() -> None:
    gone_again = [server(health=Health.OFFLINE, failures=3), WELL]
    assert turns(gone_again, [Standing(OFFLINE, STABLE_FOR - 1)], NO_RULES) == Turns(again=[OFFLINE])


@pytest.mark.parametrize("over_for", [None, 1.0, STABLE_FOR])
@pytest.mark.parametrize("servers", [[WELL], [server(admin_state=AdminState.DISABLED), WELL]])
def test_a_server_that_is_removed_or_disabled_is_forgotten_silently(servers: list[WatchedServer], over_for: float | None) -> None:
    assert turns(servers, [Standing(OFFLINE, over_for)], NO_RULES) == Turns(forgotten=[OFFLINE])


def test_a_clock_that_was_set_back_keeps_nothing_waiting() -> None:
    assert turns([server(), WELL], [Standing(OFFLINE, -3600.0)], NO_RULES).over == [OFFLINE]


@pytest.mark.parametrize(
    "closed",
    [
        server(admin_state=AdminState.CORDONED),
        server(health=Health.DEAD, failures=9),
    ],
)
def test_a_pool_where_nothing_is_open_is_unavailable(closed: WatchedServer) -> None:
    assert turns([closed], [], NO_RULES).begun[UNAVAILABLE]["servers"] == 1
    assert UNAVAILABLE not in turns([closed, WELL], [], NO_RULES).begun
    assert UNAVAILABLE not in turns([closed, server("s3", health=Health.SUSPECT, failures=1)], [], NO_RULES).begun


@pytest.mark.parametrize("servers", [[], [server(admin_state=AdminState.DISABLED)]])
def test_a_pool_without_servers_in_use_is_nobodys_concern(servers: list[WatchedServer]) -> None:
    assert turns(servers, [], AlertRules(full_at=1.0)) == Turns()
    assert turns(servers, [Standing(UNAVAILABLE, None)], NO_RULES) == Turns(forgotten=[UNAVAILABLE])


def test_a_pool_that_is_open_again_is_available() -> None:
    assert turns([WELL], [Standing(UNAVAILABLE, STABLE_FOR)], NO_RULES) == Turns(over=[UNAVAILABLE])


def test_a_pool_is_nearly_full_when_every_open_server_has_the_load() -> None:
    rules = AlertRules(full_at=100.0)
    busy, free = server("s1", load=100.0), server("s2", load=99.9)
    closed = server("s3", admin_state=AdminState.CORDONED, load=0.0)
    assert turns([busy, closed], [], rules).begun == {NEARLY_FULL: {"open_servers": 1, "least_load": 100.0, "full_at": 100.0}}
    assert turns([busy, free], [], rules) == Turns()
    assert turns([busy, free], [Standing(NEARLY_FULL, None)], rules) == Turns(ceasing=[NEARLY_FULL])
    assert turns([busy], [], NO_RULES) == Turns()


def test_a_pool_that_turns_unavailable_does_not_get_room_by_it() -> None:
    rules = AlertRules(full_at=100.0)
    closed = server(admin_state=AdminState.CORDONED)
    assert list(turns([closed], [], rules).begun) == [UNAVAILABLE]
    assert turns([closed], [Standing(NEARLY_FULL, None), Standing(UNAVAILABLE, None)], rules) == Turns()


def test_what_happened_is_forgotten_when_it_was_quiet_for_long() -> None:
    assert turns([WELL], [Standing(GIVEN_UP, QUIET_FOR - 1)], NO_RULES) == Turns()
    assert turns([WELL], [Standing(GIVEN_UP, QUIET_FOR)], NO_RULES) == Turns(forgotten=[GIVEN_UP])


def test_a_message_says_what_when_and_of_what() -> None:
    alert = Alert(id="i1", kind=AlertKind.SERVER_OFFLINE, subject="s1", detail={"health": Health.DEAD, "people": 3})
    at = datetime(2026, 7, 1, 14, 0, 0, 1500, tzinfo=timezone(timedelta(hours=2)))
    assert json.loads(alert.body(at)) == {
        "id": "i1",
        "kind": "server.offline",
        "at": "2026-07-01T12:00:00.001Z",
        "subject": "s1",
        "detail": {"health": "dead", "people": 3},
    }


def test_a_signature_is_of_the_time_and_the_body() -> None:
    expected = hmac.new("gehäim".encode(), b'1782907200.{"id":"i1"}', hashlib.sha256).hexdigest()
    assert signature("gehäim", b'{"id":"i1"}', 1782907200.9) == f"t=1782907200,v1={expected}"
