"""Reads one HTTP request as bbb-web does: which parameters it carries and which text its checksum may cover.

Called by `api.py`. Source of the rules: BBB API page, `ValidationService`.
"""

from dataclasses import dataclass

from meetingpool.bbb.checksum import matching_secret
from meetingpool.bbb.errors import ChecksumError, UnsupportedContentType
from meetingpool.bbb.query import RawQuery, read_parameters, signed_as_java, split_query

FORM = "application/x-www-form-urlencoded"
XML_TYPES = frozenset({"application/xml", "text/xml"})
FORM_TYPES = frozenset({FORM, "multipart/form-data"})


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request, complete. `content_type` without its parameters, in lower case."""

    method: str
    path: str
    query: bytes = b""
    content_type: str = ""
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class SignedParameters:
    """Parameters with what proves them: the query that holds the checksum and the texts it may have been made over."""

    values: dict[str, str]
    _query: RawQuery
    _signed_texts: tuple[bytes, ...]

    def verify(self, call: str, secret: str, refusal: str) -> None:
        """Raises ChecksumError with the sentence `refusal`."""
        checksum = self._query.checksum
        if not any(matching_secret(call, text, checksum, [secret]) is not None for text in self._signed_texts):
            raise ChecksumError(refusal)


def read_signed_parameters(request: Request) -> SignedParameters:
    """Raises ChecksumError or ValidationError for what cannot be read."""
    query = split_query(request.query)
    if not _has_form(request):
        return SignedParameters(read_parameters(query.tokens), query, (query.signed,))
    form = split_query(request.body)
    fields = read_parameters(form.tokens)
    if query.has_parameters or query.checksums:
        # Fields beside a query are parameters although nothing signs them: so it is in BBB.
        return SignedParameters({**fields, **read_parameters(query.tokens)}, query, (query.signed,))
    # The documentation signs an empty query, the code a query rebuilt from the fields.
    return SignedParameters(fields, form, (signed_as_java(form.tokens), b""))


def require_content_type(request: Request, accepted: frozenset[str]) -> None:
    """Raises UnsupportedContentType. A request without a body may carry any type."""
    if request.body and request.content_type not in accepted:
        raise UnsupportedContentType


def _has_form(request: Request) -> bool:
    return request.method == "POST" and request.content_type == FORM and bool(request.body)
