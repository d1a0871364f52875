"""Servers that register themselves: what their token allows, and what becomes of them as they come, renew, fall silent and go.

```
                  comes                  falls silent
    (no server) --------> held ----------------------> lapsed --- silent for long, and offline ---> (no server)
                         ^  | ^                          | |
                         |  | +------- renews -----------+ |
                  renews |  | goes                    goes |
                         |  v                              |
                         ended <---------------------------+
                         ended --- stays away, and is empty ---> (no server)
```

A server comes in the state that its token says. Renewing what holds changes nothing but until when it holds. One that falls
silent or goes is cordoned, so that nobody is thrown out, and one that says that it goes now is disabled and dead, since its
meetings are over; a renewal gives it back the state that it had. So it is with what we did ourselves. Whatever an administrator
makes of its state stays through renewals (`Registration.state` is None then), and such a server is removed by administrators
only. Removed by an administrator, it does not come back with the same token.

Called by `operations/register_server.py` and `operations/expire_registrations.py`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from meetingpool.domain.refusals import Conflict, Invalid
from meetingpool.domain.servers import AdminState, Health, Registration, Server, ServerId, Standing

# In lifetimes of a registration: for how long it must be overdue before it lapses, so that whatever keeps all servers from
# renewing is seen for what it is; how long a server that has gone is kept for its return; and one that is silent and offline.
LAPSES_AFTER = 0.25
ENDED_IS_KEPT = 1.0
LAPSED_IS_KEPT = 12.0


class RegistrationRefused(Conflict):
    """The server is not this token's to register."""


class HostNotAllowed(Invalid):
    """The token does not register servers on this host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationRules:
    """What a token may register. `enters`: the state in which a server comes.

    `hosts`: where servers may be, as `bbb1.example.org`, `*.example.org` or `10.20.0.0/16`; none: anywhere, by HTTPS. `tags`,
    `region` and `load_multiplier`: what servers come with that cannot say otherwise; None: what they say. `replaces`: names of
    tokens whose servers it takes over.
    """

    enters: AdminState = AdminState.CORDONED
    hosts: tuple[str, ...] = ()
    tags: tuple[str, ...] | None = None
    region: str | None = None
    load_multiplier: float | None = None
    replaces: tuple[str, ...] = ()

    def require_host(self, url: str) -> None:
        """Raises HostNotAllowed unless a server may be at `url`."""
        parts = urlsplit(url)
        if not self.hosts and parts.scheme != "https":
            raise HostNotAllowed("The token names no hosts, and registers servers with an https:// address only")
        if self.hosts and not any(_is_at(parts.hostname or "", place) for place in self.hosts):
            raise HostNotAllowed(f"The token registers servers on {', '.join(self.hosts)}, and not on {parts.hostname}")


def registered_as(found: Sequence[Server], server_id: ServerId, url: str, tokens: Iterable[str]) -> Server | None:
    """Which of those with the id or the URL it is that registers with one of `tokens`; None when it comes anew.

    Raises RegistrationRefused when it is not theirs, or when two that register would take each other's place.
    """
    for server in found:
        if server.registration is None:
            raise RegistrationRefused(
                f"An administrator added the server {server.id}: it need not register, or must be removed before it does"
            )
        if server.registration.token not in tokens:
            raise RegistrationRefused(
                f"Server {server.id} registered with the token {server.registration.token}: use that one, or one that replaces it"
            )
    for server in found:
        if (server.id, server.url) != (server_id, url):
            raise RegistrationRefused(
                f"Server {server.id} is registered with the address {server.url}: deregister it first, or register as another one"
            )
    return found[0] if found else None


def came(server: Server, token: str, rules: RegistrationRules) -> Server:
    """A new server as it comes in."""
    return replace(server, admin_state=rules.enters, registration=Registration(token=token, state=rules.enters))


def renewed(server: Server, token: str) -> Server:
    """The server after a renewal; what holds is as it was."""
    registration = _of(server)
    held = replace(registration, token=token, standing=Standing.HELD)
    if registration.standing is Standing.HELD or registration.state is None:
        return replace(server, registration=held)
    return replace(server, admin_state=registration.state, registration=held)


def lapsed(server: Server) -> Server:
    """The server after it fell silent."""
    return _left(server, Standing.LAPSED)


def ended(server: Server, *, now: bool) -> Server:
    """The server after it said that it goes; `now`: with all that runs on it."""
    left = _left(server, Standing.ENDED)
    return replace(left, admin_state=AdminState.DISABLED, health=Health.DEAD) if now else left


def _left(server: Server, standing: Standing) -> Server:
    registration = replace(_of(server), standing=standing)
    if server.admin_state is not AdminState.ENABLED:
        return replace(server, registration=registration)
    opened = replace(registration, state=AdminState.ENABLED)
    return replace(server, admin_state=AdminState.CORDONED, registration=opened)


def _of(server: Server) -> Registration:
    if server.registration is None:
        raise ValueError(f"server {server.id} did not register itself")
    return server.registration


def _is_at(host: str, place: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return host.endswith(place[1:]) if place.startswith("*.") else host == place
    try:
        return address in ip_network(place)
    except ValueError:
        return False
