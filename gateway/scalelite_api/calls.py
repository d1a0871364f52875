"""From a request to a verified call of Scalelite's management API.

The checksum covers the name of the call and its query, and never the body: that is how Scalelite's clients sign. So where both
name something, the query counts.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from gateway.bodies import read_body
from gateway.state import Gateway
from meetingpool.bbb.checksum import matching_secret
from meetingpool.bbb.errors import ChecksumError, InternalError, UnsupportedContentType, UnsupportedRequest
from meetingpool.bbb.query import read_parameters, split_query
from meetingpool.bbb.strict_json import parse
from meetingpool.domain.audit import Actor, ActorKind
from meetingpool.domain.refusals import Invalid
from meetingpool.operations.changes import Change, changing
from meetingpool.request_ids import id_of

MAX_BODY_BYTES = 64 * 1024


class MissingObject(InternalError):
    """The body does not hold the object that the call is about."""

    def __init__(self, noun: str) -> None:
        super().__init__(f"param is missing or the value is empty: {noun}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagementCall:
    """A verified call. `parameters` are of the query, which is signed; `body` is what JSON it came with, which is not."""

    gateway: Gateway
    actor: Actor
    parameters: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def id(self) -> str:
        """The server or tenant that the call names; "" when it names none."""
        return self.parameters.get("id") or _text(self.body.get("id"), "id")

    def fields_of(self, noun: str) -> "Fields":
        """The object under `noun`, else the body itself, as Scalelite takes both. Raises MissingObject."""
        given = self.body.get(noun, self.body)
        if not isinstance(given, dict) or not given:
            raise MissingObject(noun)
        return Fields(given)

    def says(self, flag: str) -> bool:
        """Whether `flag` is set, beside the object and not in it."""
        return str(self.parameters.get(flag) or self.body.get(flag)).lower() in ("true", "1")

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[Change]:
        """A transaction in which the caller changes something, on one of the few connections that management has."""
        async with changing(self.gateway.management_database, self.actor) as change:
            yield change

    @asynccontextmanager
    async def showing(self, action: str, subject: str) -> AsyncIterator[Change]:
        """A transaction that leads to an answer with secrets of `subject`, which the audit keeps once an hour for an address."""
        shown, now = self.gateway.secrets_shown, self.gateway.clock.monotonic()
        what = f"{action} {subject} {self.actor.address}"
        async with self.changing() as change:
            yield change
            if shown.is_due(what, now):
                await change.note(action, subject)
        shown.note(what, now)


@dataclass(frozen=True, slots=True)
class Fields:
    """What a client says of a server or a tenant. What is null counts as not said."""

    given: Mapping[str, Any]

    def has(self, name: str) -> bool:
        return self.given.get(name) is not None

    def text(self, name: str) -> str:
        """The value without blanks around it, "" when it is not said. Raises Invalid."""
        return _text(self.given.get(name), name)

    def number(self, name: str) -> float:
        """The value, 0 when it is not said or blank. Raises Invalid."""
        try:
            return float(self.text(name) or 0)
        except ValueError:
            raise Invalid(f"{name} must be a number") from None


async def read_call(request: Request, gateway: Gateway, name: str, methods: tuple[str, ...]) -> ManagementCall:
    """Raises an ApiError, or NotJson or BodyTooLong once it is known who asks."""
    if request.method not in methods:
        raise UnsupportedRequest
    has_body = request.method == "POST" and _has_body(request)
    if has_body and not _says_json(request):
        raise UnsupportedContentType
    query = split_query(request.scope["query_string"])
    secrets = gateway.tenants.installation.secrets
    number = matching_secret(name, query.signed, query.checksum, secrets, gateway.keys.algorithms)
    if number is None:
        raise ChecksumError
    body = parse(await read_body(request, MAX_BODY_BYTES)) if has_body else {}
    return ManagementCall(
        gateway=gateway,
        actor=_actor(request, number),
        parameters=read_parameters(query.tokens),
        # A list holds no name.
        body=body if isinstance(body, dict) else {},
    )


def _actor(request: Request, number: int) -> Actor:
    return Actor(
        kind=ActorKind.SCALELITE_API,
        name=f"load balancer secret {number + 1}",
        address=request.client.host if request.client else None,
        request_id=id_of(request.scope),
    )


def _has_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"


def _says_json(request: Request) -> bool:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type == "application/json" and "content-encoding" not in request.headers


def _text(value: object, name: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not str(value).isprintable():
        raise Invalid(f"{name} must be text without control characters")
    return str(value).strip()
