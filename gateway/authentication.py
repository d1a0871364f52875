"""From a request to a verified call: nothing of a request is used before its checksum holds.

The text that is signed and the parameters that are used come from the same tokens: those of the query, or, when the query
holds nothing but a checksum, those of the form. Fields of a form beside a query with parameters are not signed, and so not read.
"""

from dataclasses import dataclass

from starlette.requests import Request

from meetingpool.bbb.calls import BodyKind, CallSpec
from meetingpool.bbb.checksum import Algorithm, matching_secret
from meetingpool.bbb.client import Body
from meetingpool.bbb.errors import ChecksumError, MissingMeetingID, UnsupportedContentType, UnsupportedRequest, ValidationError
from meetingpool.bbb.query import RawQuery, read_parameters, signed_as_java, split_query
from meetingpool.domain.meetings import DEFAULT_TENANT, MeetingKey

MAX_QUERY_BYTES = 256 * 1024
MAX_FORM_BYTES = 256 * 1024
MAX_XML_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What front ends may sign with."""

    secrets: tuple[str, ...]
    algorithms: frozenset[Algorithm]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A verified call. `parameters` decoded, in their order; an empty value counts as absent in `text`."""

    name: str
    parameters: dict[str, str]
    body: Body | None = None

    def text(self, name: str) -> str | None:
        return self.parameters.get(name) or None

    @property
    def meeting_key(self) -> MeetingKey:
        """Raises MissingMeetingID."""
        meeting_id = self.text("meetingID")
        if meeting_id is None:
            raise MissingMeetingID
        return MeetingKey(DEFAULT_TENANT, meeting_id)


async def read_call(request: Request, spec: CallSpec, keys: Keys) -> Call:
    """Raises an ApiError that says what is wrong with the request; of several wrongs, the cheapest to find."""
    if request.method not in spec.methods:
        raise UnsupportedRequest
    raw = request.scope["query_string"]
    if len(raw) > MAX_QUERY_BYTES:
        raise ValidationError(f"The query is longer than {MAX_QUERY_BYTES} bytes")
    kind = _body_kind(request, spec)
    query = split_query(raw)
    if kind is BodyKind.FORM and not query.has_parameters:
        return await _read_form_call(request, spec, keys, query)
    _require_match(spec.name, [query.signed], query.checksum, keys)
    parameters = read_parameters(query.tokens)
    return Call(name=spec.name, parameters=parameters, body=await _xml_body(request, kind))


async def _read_form_call(request: Request, spec: CallSpec, keys: Keys, query: RawQuery) -> Call:
    form = split_query(await _read_body(request, MAX_FORM_BYTES))
    both = RawQuery(form.tokens, query.checksums + form.checksums)
    _require_match(spec.name, [form.signed, signed_as_java(form.tokens)], both.checksum, keys)
    return Call(name=spec.name, parameters=read_parameters(form.tokens))


def _require_match(call: str, signed_texts: list[bytes], checksum: bytes, keys: Keys) -> None:
    matches = [matching_secret(call, signed, checksum, keys.secrets, keys.algorithms) for signed in signed_texts]
    if all(match is None for match in matches):
        raise ChecksumError


def _body_kind(request: Request, spec: CallSpec) -> BodyKind | None:
    """The kind of the body; None when there is none, whatever the Content-Type says then."""
    length = request.headers.get("content-length", "0")
    if length == "0" and "transfer-encoding" not in request.headers:
        return None
    kind = BodyKind.of(request.headers.get("content-type", ""))
    if kind is None or kind not in spec.bodies or "content-encoding" in request.headers:
        raise UnsupportedContentType
    return kind


async def _xml_body(request: Request, kind: BodyKind | None) -> Body | None:
    if kind is not BodyKind.XML:
        return None
    return Body(await _read_body(request, MAX_XML_BYTES), request.headers["content-type"])


async def _read_body(request: Request, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise ValidationError(f"The body is longer than {limit} bytes")
        chunks.append(chunk)
    return b"".join(chunks)
