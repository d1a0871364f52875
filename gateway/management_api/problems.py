"""What the API says when it does not do what was asked (RFC 9457), and the one table from errors to status codes."""

import re
from collections.abc import Mapping
from typing import NotRequired, TypedDict

import msgspec
from starlette.responses import Response

from gateway.bodies import BodyTooLong
from gateway.limits import BUSY, RETRY_AFTER
from meetingpool.bbb.errors import ServerFailure
from meetingpool.database.engine import DatabaseUnavailable
from meetingpool.domain.access import ApiToken, Permission
from meetingpool.domain.refusals import Conflict, Invalid, NotFound
from meetingpool.operations.end_meeting import EndFailed

HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}

_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (NotFound, 404),
    (Conflict, 409),
    (Invalid, 422),
    (BodyTooLong, 413),
    (EndFailed, 502),
    (ServerFailure, 502),
    (DatabaseUnavailable, 503),
)
EXPECTED: tuple[type[Exception], ...] = tuple(kind for kind, _ in _STATUS)

_TITLES = {
    400: "This is not a request that can be read",
    401: "A token is needed",
    403: "Not allowed",
    404: "Not there",
    405: "No such method here",
    409: "Not as things are now",
    413: "Too long",
    415: "JSON is needed",
    422: "Not what can be asked for",
    429: "Too many wrong tokens",
    500: "Something went wrong here",
    502: "A server did not do it",
    503: "Not now",
}
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")
_FIELD = re.compile(r"field `([^`]*)`")
_PLACE = re.compile(r"(?: - )?at `(?:key in )?\$\.?([^`]*)`")


class ProblemDocument(TypedDict):
    """Why something is not done. `code` never changes; `detail` says in a sentence what to do."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    field: NotRequired[str]
    permission: NotRequired[str]


class Problem(Exception):
    """A request that is not carried out. `more`: further members of the document."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.headers = headers or {}
        self.more = more or {}

    def response(self) -> Response:
        document = {
            "type": f"urn:meetingpool:problem:{self.code}",
            "title": _TITLES[self.status],
            "status": self.status,
            "detail": str(self),
            "code": self.code,
            **self.more,
        }
        headers = {"content-type": "application/problem+json", **HEADERS, **self.headers}
        return Response(msgspec.json.encode(document), self.status, headers)


def problem_of(error: Exception) -> Problem:
    """The problem that an expected error stands for."""
    if isinstance(error, DatabaseUnavailable):
        return Problem(503, "database_unavailable", BUSY, headers={"retry-after": str(RETRY_AFTER)})
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    detail = str(error) or type(error).__doc__ or ""
    return Problem(status, _WORDS.sub("_", type(error).__name__).lower(), " ".join(detail.split()))


def forbidden(token: ApiToken, permission: Permission) -> Problem:
    return Problem(
        403,
        "permission_missing",
        f"The token {token.name} has the role {token.role}, which lacks the permission {permission}",
        more={"permission": permission},
    )


def invalid(error: msgspec.ValidationError) -> Problem:
    """What of a query or a body cannot be used, with the name of its field where there is one."""
    text = str(error)
    places = [found[1] for found in (_PLACE.search(text), _FIELD.search(text)) if found and found[1]]
    detail = f"{_PLACE.sub('', text)}, in {'.'.join(places)}" if places else text
    return Problem(422, "invalid", detail, more={"field": ".".join(places)} if places else None)


def unexpected() -> Problem:
    return Problem(500, "unexpected_error", "The log of the gateway says more; please tell its makers")
