"""Reads what an administrator says that a token of the role server may register. Called before such a token is made."""

from collections.abc import Collection

from meetingpool.domain.registrations import RegistrationRules
from meetingpool.domain.servers import AdminState
from meetingpool.operations.api_tokens import InvalidToken
from meetingpool.operations.change_server import checked_values
from meetingpool.outward.targets import AllowList


def registration_rules(
    *,
    enters: AdminState | None = None,
    hosts: Collection[str] = (),
    tags: Collection[str] | None = None,
    region: str | None = None,
    load_multiplier: float | None = None,
    replaces: Collection[str] = (),
) -> RegistrationRules | None:
    """None when nothing is said. Raises InvalidToken, InvalidServer or InvalidRegion."""
    if not any((enters, hosts, tags is not None, region is not None, load_multiplier is not None, replaces)):
        return None
    values = checked_values(tags=tags, region=region, load_multiplier=load_multiplier)
    return RegistrationRules(
        enters=enters or AdminState.CORDONED,
        hosts=_checked_hosts(hosts),
        tags=tuple(values["tags"]) if tags is not None else None,
        region=values.get("region"),
        load_multiplier=load_multiplier,
        replaces=tuple(dict.fromkeys(replaces)),
    )


def _checked_hosts(hosts: Collection[str]) -> tuple[str, ...]:
    try:
        allowed = AllowList.read(hosts)
    except ValueError as error:
        raise InvalidToken(f"Servers may be on hosts and in networks: {error}") from None
    return (*allowed.hosts, *map(str, allowed.networks))
