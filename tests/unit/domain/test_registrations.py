"""What becomes of servers that register themselves: every arrow of the picture in `meetingpool/domain/registrations.py`."""

from dataclasses import replace

import pytest

from meetingpool.domain.registrations import (
    HostNotAllowed,
    RegistrationRefused,
    RegistrationRules,
    came,
    ended,
    lapsed,
    registered_as,
    renewed,
)
from meetingpool.domain.servers import AdminState, Health, Registration, Server, ServerId, Standing

ENABLED, CORDONED, DISABLED = AdminState.ENABLED, AdminState.CORDONED, AdminState.DISABLED
URL = "https://bbb1.example.org/bigbluebutton/api/"


def server(state: AdminState, *, own: AdminState | None, standing: Standing = Standing.HELD) -> Server:
    """`own`: what its registration makes of it; None when an administrator decided."""
    registration = Registration(token="hosts", standing=standing, state=own)
    return Server(id=ServerId("bbb1"), url=URL, secret="s", admin_state=state, health=Health.ONLINE, registration=registration)


def summary(of: Server) -> tuple[AdminState, Standing, AdminState | None]:
    assert of.registration is not None
    return of.admin_state, of.registration.standing, of.registration.state


@pytest.mark.parametrize("state", AdminState)
def test_a_server_comes_in_the_state_that_its_token_says(state: AdminState) -> None:
    new = Server(id=ServerId("bbb1"), url=URL, secret="s")
    assert summary(came(new, "hosts", RegistrationRules(enters=state))) == (state, Standing.HELD, state)


@pytest.mark.parametrize("own", [*AdminState, None])
@pytest.mark.parametrize("state", AdminState)
def test_a_renewal_of_what_holds_changes_nothing(state: AdminState, own: AdminState | None) -> None:
    held = server(state, own=own)
    assert renewed(held, "hosts") == held


@pytest.mark.parametrize(
    ("state", "own", "then"),
    [
        # An open server is cordoned, whoever opened it, and can be given back.
        (ENABLED, ENABLED, (CORDONED, ENABLED)),
        (ENABLED, None, (CORDONED, ENABLED)),
        # What an administrator closed stays as it is, and so does what has not been let in.
        (CORDONED, None, (CORDONED, None)),
        (DISABLED, None, (DISABLED, None)),
        (CORDONED, CORDONED, (CORDONED, CORDONED)),
        (DISABLED, DISABLED, (DISABLED, DISABLED)),
    ],
)
def test_who_falls_silent_or_goes_is_cordoned_if_it_was_open(
    state: AdminState, own: AdminState | None, then: tuple[AdminState, AdminState | None]
) -> None:
    assert summary(lapsed(server(state, own=own))) == (then[0], Standing.LAPSED, then[1])
    assert summary(ended(server(state, own=own), now=False)) == (then[0], Standing.ENDED, then[1])


@pytest.mark.parametrize(
    ("state", "own", "kept"), [(ENABLED, None, ENABLED), (CORDONED, None, None), (CORDONED, ENABLED, ENABLED)]
)
def test_who_goes_at_once_is_out_of_use_with_its_meetings(
    state: AdminState, own: AdminState | None, kept: AdminState | None
) -> None:
    gone = ended(server(state, own=own), now=True)
    assert (summary(gone), gone.health) == ((DISABLED, Standing.ENDED, kept), Health.DEAD)


@pytest.mark.parametrize("standing", [Standing.LAPSED, Standing.ENDED])
@pytest.mark.parametrize(
    ("state", "own", "then"),
    [
        (CORDONED, ENABLED, ENABLED),
        # The poller retires cordoned servers that are empty.
        (DISABLED, ENABLED, ENABLED),
        (DISABLED, CORDONED, CORDONED),
        # An administrator's decision stays.
        (CORDONED, None, CORDONED),
        (DISABLED, None, DISABLED),
        (ENABLED, None, ENABLED),
    ],
)
def test_a_server_that_comes_back_is_what_it_was(
    standing: Standing, state: AdminState, own: AdminState | None, then: AdminState
) -> None:
    assert summary(renewed(server(state, own=own, standing=standing), "hosts")) == (then, Standing.HELD, own)


def test_going_twice_is_going_once() -> None:
    for now in (False, True):
        gone = ended(server(ENABLED, own=ENABLED), now=now)
        assert ended(gone, now=now) == gone


def test_a_renewal_by_a_replacing_token_is_its_from_then_on() -> None:
    registration = renewed(server(ENABLED, own=ENABLED), "newer").registration
    assert registration is not None
    assert registration.token == "newer"


def test_a_registration_is_the_own_server_or_a_new_one() -> None:
    known = server(ENABLED, own=ENABLED)
    assert registered_as([], known.id, URL, ["hosts"]) is None
    assert registered_as([known], known.id, URL, ["newer", "hosts"]) is known


@pytest.mark.parametrize(
    ("found", "server_id", "url", "sentence"),
    [
        ([Server(id=ServerId("bbb1"), url=URL, secret="s")], "bbb1", URL, "An administrator added"),
        ([server(ENABLED, own=ENABLED)], "bbb2", URL, "deregister it first"),
        ([server(ENABLED, own=ENABLED)], "bbb1", URL.replace("bbb1", "bbb2"), "deregister it first"),
        (
            [replace(server(ENABLED, own=ENABLED), registration=Registration(token="others", state=ENABLED))],
            "bbb1",
            URL,
            "registered with the token others",
        ),
    ],
)
def test_a_registration_takes_nobodys_place(found: list[Server], server_id: str, url: str, sentence: str) -> None:
    with pytest.raises(RegistrationRefused, match=sentence):
        registered_as(found, ServerId(server_id), url, ["hosts"])


@pytest.mark.parametrize(
    ("hosts", "url"),
    [
        ((), "https://anywhere.example/"),
        (("bbb1.example.org",), "http://bbb1.example.org/"),
        (("*.example.org",), "https://a.b.example.org:8443/"),
        (("10.20.0.0/16", "*.example.org"), "http://10.20.3.4/"),
        (("2001:db8::/32",), "https://[2001:db8::1]/"),
    ],
)
def test_a_server_is_where_the_token_says(hosts: tuple[str, ...], url: str) -> None:
    RegistrationRules(hosts=hosts).require_host(url)


@pytest.mark.parametrize(
    ("hosts", "url"),
    [
        # Without hosts nobody is polled that does not prove by a certificate who it is.
        ((), "http://169.254.169.254/"),
        (("*.example.org",), "https://example.org/"),
        (("*.example.org",), "https://notexample.org/"),
        (("*.example.org",), "https://bbb.example.org.evil.example/"),
        (("bbb1.example.org",), "https://bbb2.example.org/"),
        (("10.20.0.0/16",), "https://10.21.0.1/"),
        # A name may stand for any address, at any time.
        (("10.20.0.0/16",), "https://bbb1.example.org/"),
        (("10.20.0.0/16",), "https://169082628/"),
        (("*.example.org",), "https://10.20.3.4/"),
    ],
)
def test_a_server_elsewhere_is_refused(hosts: tuple[str, ...], url: str) -> None:
    with pytest.raises(HostNotAllowed):
        RegistrationRules(hosts=hosts).require_host(url)
