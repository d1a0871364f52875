"""Reads a raw query string (or form body) once, so that what is signed and what is used are the same tokens.

Called by the gateway for every call and by the simulator; `encode` writes the query of a call to a server.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote_plus, unquote_to_bytes

from meetingpool.bbb.errors import ChecksumError, ValidationError

MAX_PARAMETERS = 500
MAX_PARAMETER_BYTES = 64 * 1024

# BBB strips control characters from names and values before use. The last two would make its XML unreadable.
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f\ufffe\uffff]")
# Most names and values of a call, such as ids.
_NEEDS_NO_QUOTES = re.compile(r"[A-Za-z0-9_.~-]*")


@dataclass(frozen=True, slots=True)
class RawQuery:
    """A query as it was received, cut at every `&`, the checksum set apart.

    `signed` is the text that the checksum covers: the received bytes without the checksum token.
    """

    tokens: tuple[bytes, ...]
    checksums: tuple[bytes, ...]

    @property
    def signed(self) -> bytes:
        return b"&".join(self.tokens)

    @property
    def has_parameters(self) -> bool:
        return any(self.tokens)

    @property
    def checksum(self) -> bytes:
        """The one checksum. Raises ChecksumError when there is none, or more than one."""
        if len(self.checksums) != 1:
            raise ChecksumError
        return self.checksums[0]


def split_query(raw: bytes) -> RawQuery:
    """Cuts `raw` into tokens. Only a token whose raw name is exactly `checksum` is the checksum (`%63hecksum` is not)."""
    tokens = raw.split(b"&")
    return RawQuery(
        tokens=tuple(token for token in tokens if not _is_checksum(token)),
        checksums=tuple(token[len(b"checksum=") :] for token in tokens if _is_checksum(token)),
    )


def read_parameters(tokens: Iterable[bytes]) -> dict[str, str]:
    """Decodes tokens to parameters in their order, names and values as BBB would use them.

    Raises ValidationError for too many or too long parameters and for a name that is given twice with two values,
    ChecksumError for bytes that are not UTF-8 or a disguised checksum name.
    """
    parameters: dict[str, str] = {}
    for token in filter(None, tokens):
        if len(token) > MAX_PARAMETER_BYTES:
            raise ValidationError(f"A parameter is longer than {MAX_PARAMETER_BYTES} bytes")
        raw_name, _, raw_value = token.partition(b"=")
        name, value = _decode(raw_name), _decode(raw_value)
        if name == "checksum":
            raise ChecksumError
        if parameters.setdefault(name, value) != value:
            raise ValidationError(f"Parameter {name[:64]} is given more than once")
        if len(parameters) > MAX_PARAMETERS:
            raise ValidationError(f"There are more than {MAX_PARAMETERS} parameters")
    return parameters


def encode(parameters: Iterable[tuple[str, str]]) -> str:
    """The query string for `parameters`, in their order: UTF-8, blanks as `+`."""
    return "&".join([f"{_quoted(name)}={_quoted(value)}" for name, value in parameters])


def signed_as_java(tokens: Iterable[bytes]) -> bytes:
    """The text to sign of a form without a query, as BBB rebuilds it: sorted by name, encoded by `java.net.URLEncoder`.

    BBB does not encode names. So a name that holds a separator could stand for several parameters: such a form is nobody's.
    Raises ChecksumError for that, and for bytes that are not UTF-8.
    """
    pairs = (token.partition(b"=") for token in tokens if token)
    decoded = sorted((_percent_decoded(name), _percent_decoded(value)) for name, _, value in pairs)
    if any("&" in name or "=" in name for name, _ in decoded):
        raise ChecksumError
    return "&".join(f"{name}={_java_quote(value)}" for name, value in decoded).encode()


def _quoted(text: str) -> str:
    if _NEEDS_NO_QUOTES.fullmatch(text):
        return text
    return _quoted_short(text) if len(text) <= _SHORT else quote_plus(text)


# Names of people, rooms and addresses come again with every call about the same meeting.
_SHORT = 200
_quoted_short = lru_cache(1024)(quote_plus)


def _is_checksum(token: bytes) -> bool:
    return token.startswith(b"checksum=")


def _decode(raw: bytes) -> str:
    return _CONTROL_CHARACTERS.sub("", _percent_decoded(raw)).strip()


def _percent_decoded(raw: bytes) -> str:
    if b"+" in raw:
        raw = raw.replace(b"+", b" ")
    if b"%" in raw:
        raw = unquote_to_bytes(raw)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise ChecksumError from None


def _java_quote(value: str) -> str:
    # URLEncoder keeps `*` and encodes `~`; quote_plus does the opposite.
    return quote_plus(value, safe="*").replace("~", "%7E")
