"""From a request to a verified call: nothing of a request is used before its checksum holds.

The text that is signed and the parameters that are used come from the same tokens: those of the query, or, when the query
holds nothing but a checksum, those of the form. Fields of a form beside a query with parameters are not signed, and so not read.
"""

from dataclasses import dataclass

from starlette.requests import Request

from gateway.bodies import BodyTooLong, read_body
from gateway.tenants import Tenants
from meetingpool.bbb.calls import BodyKind, CallSpec
from meetingpool.bbb.checksum import Algorithm, matching_secret
from meetingpool.bbb.client import Body
from meetingpool.bbb.errors import ChecksumError, MissingMeetingID, UnsupportedContentType, UnsupportedRequest, ValidationError
from meetingpool.bbb.query import MAX_PARAMETERS, RawQuery, read_parameters, signed_as_java, split_query
from meetingpool.domain.meetings import MeetingKey
from meetingpool.domain.tenants import Tenant

MAX_FORM_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Who may sign, and how. `algorithms`: where a tenant says nothing else."""

    tenants: Tenants
    algorithms: frozenset[Algorithm]

    def of(self, request: Request, spec: CallSpec) -> "Key":
        tenant = self.tenants.installation if spec.is_of_installation else self.tenants.recognise(request)
        own = tenant.checksum_algorithms
        return Key(tenant=tenant, algorithms=self.algorithms if own is None else frozenset(map(Algorithm, own)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """The tenant that a request names, and what it may sign with."""

    tenant: Tenant
    algorithms: frozenset[Algorithm]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A verified call of `tenant`. `parameters` decoded, in their order; an empty value counts as absent in `text`."""

    name: str
    tenant: Tenant
    parameters: dict[str, str]
    request: Request
    body: Body | None = None

    def text(self, name: str) -> str | None:
        return self.parameters.get(name) or None

    @property
    def meeting_key(self) -> MeetingKey:
        """Raises MissingMeetingID."""
        meeting_id = self.text("meetingID")
        if meeting_id is None:
            raise MissingMeetingID
        return MeetingKey(self.tenant.id, meeting_id)


async def read_call(request: Request, spec: CallSpec, keys: Keys) -> Call:
    """Raises an ApiError that says what is wrong with the request; of several wrongs, the cheapest to find."""
    if request.method not in spec.methods:
        raise UnsupportedRequest
    raw = request.scope["query_string"]
    kind = _body_kind(request, spec)
    query, key = split_query(raw), keys.of(request, spec)
    if kind is BodyKind.FORM and not query.has_parameters and request.method == "POST":
        return await _read_form_call(request, spec, key, query)
    _require_match(spec.name, [query.signed], query.checksum, key)
    parameters = read_parameters(query.tokens)
    body = await _xml_body(request, kind)
    return Call(name=spec.name, tenant=key.tenant, parameters=parameters, request=request, body=body)


async def _read_form_call(request: Request, spec: CallSpec, key: Key, query: RawQuery) -> Call:
    try:
        form = split_query(await read_body(request, MAX_FORM_BYTES))
    except BodyTooLong:
        raise ValidationError(f"The body is longer than {MAX_FORM_BYTES} bytes") from None
    if len(form.tokens) > MAX_PARAMETERS:
        # Nobody knows yet who this is, and what follows takes its time.
        raise ValidationError(f"There are more than {MAX_PARAMETERS} parameters")
    both = RawQuery(form.tokens, query.checksums + form.checksums)
    _require_match(spec.name, [form.signed, signed_as_java(form.tokens)], both.checksum, key)
    return Call(name=spec.name, tenant=key.tenant, parameters=read_parameters(form.tokens), request=request)


def _require_match(call: str, signed_texts: list[bytes], checksum: bytes, key: Key) -> None:
    matches = [matching_secret(call, signed, checksum, key.tenant.secrets, key.algorithms) for signed in signed_texts]
    if all(match is None for match in matches):
        raise ChecksumError


def _body_kind(request: Request, spec: CallSpec) -> BodyKind | None:
    """The kind of the body; None when there is none, whatever the Content-Type says then."""
    if not any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in request.scope["headers"]
    ):
        return None
    kind = BodyKind.of(request.headers.get("content-type", ""))
    if kind is None or kind not in spec.bodies or "content-encoding" in request.headers:
        raise UnsupportedContentType
    return kind


async def _xml_body(request: Request, kind: BodyKind | None) -> Body | None:
    if kind is not BodyKind.XML:
        return None
    # How long slides may be is for the connection to say (MEETINGPOOL_MAX_DOCUMENT_BYTES).
    return Body(await request.body(), request.headers["content-type"])
