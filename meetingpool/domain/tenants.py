"""A tenant: a front end with its own secrets, its own rules and limits, and meetings that nobody else sees.

Without multitenancy there is one, made from the settings. Read by the gateway for every call; kept by `meetingpool tenants`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from meetingpool.domain.meetings import DEFAULT_TENANT
from meetingpool.domain.parameters import CallRules, InvalidRule, Operator, Rule
from meetingpool.domain.refusals import Invalid

# The first label of a host name, and a part of a path.
_NAME = re.compile(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?")
_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")

# The calls that a tenant's rules may be about.
RULED_CALLS = ("create", "join")


class InvalidTenant(Invalid):
    """A sentence that says what is wrong with what a tenant was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LrsAccess:
    """Where a tenant's learning records go, and how to get in: by `username` and `password`, or by a token from Keycloak.

    The token is asked for at `token_url`, as the client `client_id` and the user `token_username`.
    """

    endpoint: str
    username: str = ""
    password: str = field(default="", repr=False)
    token_url: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    token_username: str = ""
    token_password: str = field(default="", repr=False)

    @property
    def uses_token(self) -> bool:
        return bool(self.token_url)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """One front end. What is None follows the settings, or is unlimited.

    `server_tags`: its meetings go to servers with one of these tags only; `max_meetings` and `max_users`: how many may run and
    be in them at once; `callback_hosts`: the only hosts that its callbacks may go to; `region`: where its people are.
    """

    id: str
    name: str
    secrets: tuple[str, ...] = field(repr=False)
    checksum_algorithms: frozenset[str] | None = None
    server_tags: frozenset[str] | None = None
    max_meetings: int | None = None
    max_users: int | None = None
    callback_hosts: tuple[str, ...] | None = None
    lrs: LrsAccess | None = None
    region: str | None = None
    rules: CallRules = field(default_factory=CallRules)


def checked_name(name: str) -> str:
    """`name` as it is compared. Raises InvalidTenant. `default` is how what ran before there were tenants is called."""
    lowered = name.strip().lower()
    if lowered == DEFAULT_TENANT:
        raise InvalidTenant(f"No tenant can be named {DEFAULT_TENANT!r}, which is what meetings without a tenant belong to")
    if not _NAME.fullmatch(lowered):
        raise InvalidTenant(
            "A tenant's name is a label of its host name: up to 63 letters, digits, hyphens and underscores, "
            "with a letter or digit first and last"
        )
    return lowered


def checked_id(tenant_id: str) -> str:
    """Raises InvalidTenant. `default` belongs to what ran before there were tenants."""
    if not _ID.fullmatch(tenant_id) or tenant_id == DEFAULT_TENANT:
        raise InvalidTenant(
            "A tenant's id must be made of up to 64 letters, digits, dots, hyphens and underscores, "
            f"and not be {DEFAULT_TENANT!r}"
        )
    return tenant_id


def checked_secrets(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """The secrets without repetition, in their order. Raises InvalidTenant when there is none, or one that no tool can hold."""
    kept = tuple(dict.fromkeys(secret.strip() for secret in secrets if secret.strip()))
    if not kept:
        raise InvalidTenant("A tenant needs a secret that is not empty")
    if any(":" in secret or not secret.isprintable() for secret in kept):
        # Lists of secrets are written with colons between them.
        raise InvalidTenant("A secret must not hold colons or control characters")
    return kept


def checked_limit(limit: int | None, of: str) -> int | None:
    """Raises InvalidTenant. None: no limit."""
    if limit is not None and not 0 <= limit < 2**31:
        raise InvalidTenant(f"The limit of {of} must be a whole number from 0")
    return limit


def new_rule(call: str, operator: str, name: str, value: str) -> tuple[str, Rule]:
    """A rule on `call`. Raises InvalidTenant with what is allowed."""
    if call not in RULED_CALLS:
        raise InvalidTenant(f"Rules are for {' and '.join(RULED_CALLS)}, not for {call!r}")
    try:
        return call, Rule(Operator(operator), name, value)
    except InvalidRule as error:
        raise InvalidTenant(f"This rule cannot be: {error}") from None
    except ValueError:
        raise InvalidTenant(f"The operator must be one of {', '.join(Operator)}") from None


def rules_by_call(rules: Mapping[str, tuple[Rule, ...]]) -> CallRules:
    return CallRules(create=rules.get("create", ()), join=rules.get("join", ()))
