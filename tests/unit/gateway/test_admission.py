"""Who comes in to the management API."""

from datetime import UTC, datetime

import pytest

from gateway.client_networks import ClientNetworks
from gateway.management_api.admission import MAX_REQUESTS, Admission, TokenRefused
from meetingpool.domain.access import ApiToken, Role
from meetingpool.settings import Settings

TOKEN = ApiToken(id="1", name="n", role=Role.ADMIN, created_at=datetime(2026, 1, 1, tzinfo=UTC), created_by="somebody")


def admission(*networks: str) -> Admission:
    return Admission(networks or Settings().management_networks, wrong_tokens_per_minute=3)


class Finder:
    """Knows the token `right`, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, plain: str) -> ApiToken | None:
        self.asked += 1
        return TOKEN if plain == "right" else None


async def outcome(door: Admission, plain: str, host: str, now: float, find: Finder) -> int | None:
    """For how long an address is to wait whose token is refused; None for one that is let in."""
    try:
        await door.token_of(plain, host, now, find)
    except TokenRefused as refused:
        return refused.retry_after
    return None


async def test_too_many_wrong_tokens_are_not_looked_for() -> None:
    door, find = admission(), Finder()
    assert [await outcome(door, f"wrong {number}", "192.0.2.1", 0.0, find) for number in range(5)] == [0, 0, 0, 20, 20]
    assert find.asked == 3
    assert await outcome(door, "right", "192.0.2.2", 0.0, find) is None
    assert await outcome(door, "right", "192.0.2.1", 21.0, find) is None


async def test_a_token_that_was_right_is_let_in_whoever_shares_its_address() -> None:
    door, find = admission(), Finder()
    assert await outcome(door, "right", "192.0.2.1", 0.0, find) is None
    for _ in range(5):
        await outcome(door, "wrong", "192.0.2.1", 0.0, find)
    assert await outcome(door, "right", "192.0.2.1", 0.0, find) is None


async def test_a_household_of_ipv6_is_one_source() -> None:
    door, find = admission(), Finder()
    waits = [await outcome(door, "wrong", f"2001:db8::{number}", 0.0, find) for number in range(4)]
    assert waits == [0, 0, 0, 20]


def test_only_so_many_requests_are_worked_on() -> None:
    door = admission()
    assert all(door.enter() for _ in range(MAX_REQUESTS))
    assert not door.enter()
    door.leave()
    assert door.enter()


@pytest.mark.parametrize(
    ("networks", "host", "admitted"),
    [
        (Settings().management_networks, "203.0.113.9", True),
        (Settings().management_networks, "unknown", True),
        (Settings().management_networks, None, True),
        ((), "127.0.0.1", False),
        (("10.0.0.0/8",), "10.200.0.1", True),
        (("10.0.0.0/8",), "::ffff:10.200.0.1", True),
        (("10.0.0.0/8",), "11.0.0.1", False),
        (("10.0.0.0/8",), "", False),
        (("10.0.0.0/8",), None, False),
        (("0.0.0.0/0",), "::1", False),
        (("fe80::/10",), "fe80::1%eth0", True),
    ],
)
def test_clients_come_in_from_the_networks_of_the_settings(networks: tuple[str, ...], host: str | None, admitted: bool) -> None:
    assert ClientNetworks(networks).admit(host) is admitted
