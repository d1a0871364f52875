"""From what a request says to the values that a handler takes. Whatever is not known is refused, and nothing is guessed."""

from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request

from gateway.bodies import read_body
from gateway.management_api.endpoint import Changing, Endpoint, Nothing
from gateway.management_api.problems import Problem, invalid

MAX_BODY_BYTES = 1024 * 1024
MAX_QUERY_FIELDS = 100


def read_query(endpoint: Endpoint, raw: bytes) -> Any:
    """Raises Problem."""
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS)
    except ValueError:
        raise Problem(422, "invalid", "The query cannot be read") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise Problem(422, "invalid", "A parameter of the query is given more than once")
    _require_text(*fields.values())
    return _converted(fields, endpoint.query)


async def read_body_of(endpoint: Endpoint, request: Request) -> Any:
    """What the body says; an empty one says `{}`. Raises Problem or BodyTooLong."""
    raw = await read_body(request, MAX_BODY_BYTES)
    if raw:
        _require_json(request)
    if b"\\u0000" in raw:
        _require_text("\0")
    try:
        return msgspec.json.decode(raw or b"{}", type=endpoint.body or Nothing)
    except msgspec.ValidationError as error:
        raise invalid(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(400, "malformed_json", "The body is not valid JSON in UTF-8") from None


def is_dry_run(query: Any) -> bool:
    return isinstance(query, Changing) and query.dry_run


def _converted(fields: dict[str, str], kind: Any) -> Any:
    try:
        query = msgspec.convert(fields, kind, strict=False)
    except msgspec.ValidationError as error:
        raise invalid(error) from None
    for field in msgspec.structs.fields(kind):
        # The word null would otherwise stand for nothing that was said.
        if field.encode_name in fields and getattr(query, field.name) is None:
            name = field.encode_name
            raise Problem(422, "invalid", f"The parameter {name} cannot be null: leave it out", more={"field": name})
    return query


def _require_json(request: Request) -> None:
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    is_utf8 = parameters.strip().lower().replace('"', "") in ("", "charset=utf-8")
    if kind.strip().lower() != "application/json" or not is_utf8 or "content-encoding" in request.headers:
        raise Problem(415, "json_needed", "The body must be JSON, with the header Content-Type: application/json")


def _require_text(*values: str) -> None:
    """The database takes any character but this one."""
    if any("\0" in value for value in values):
        raise Problem(422, "invalid", "Text must not hold the character U+0000")
