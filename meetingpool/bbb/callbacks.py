"""What servers tell when something happened, and what we tell front ends in their place: verified with the secret of the one,
signed with the secret of the other.

Called by the gateway, which receives, and by `operations`, which deliver. Source of the rules: the scripts that BBB runs after a
recording was published and after a meeting's events were archived, bbb-web's callback service, and bbb-webhooks.
"""

import hmac
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl

from meetingpool.bbb import strict_json
from meetingpool.bbb.checksum import ALL_ALGORITHMS, Algorithm, matching_secret, sign
from meetingpool.bbb.query import encode
from meetingpool.bbb.tokens import InvalidToken, signed_token, verified_payload

MAX_RECORDING_READY_BYTES = 64 * 1024
MAX_ANALYTICS_BYTES = 1024 * 1024
MAX_HOOK_BYTES = 1024 * 1024
MAX_ID_LENGTH = 256

# Seconds for which the token of an analytics report is good, and by which clocks may differ.
ANALYTICS_TOKEN_SECONDS = 24 * 3600
CLOCK_SKEW = 60

_SIGNED_PARAMETERS = "signed_parameters"
_MAX_FORM_FIELDS = 16
_RECORDING_READY_ALGORITHMS = ("HS256", "HS384", "HS512")
_ANALYTICS_ALGORITHMS = ("HS512",)
# JSON can spell half a character, which has no UTF-8.
_NOT_IN_IDS = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Reason(StrEnum):
    """Why a callback is refused. The first three are about who speaks, the others about what is said."""

    NO_PROOF = "no_proof"
    WRONG_PROOF = "wrong_proof"
    NOT_VALID_NOW = "not_valid_now"
    TOO_LARGE = "too_large"
    UNREADABLE = "unreadable"


class CallbackRefused(Exception):
    """What was received is not what a server with that secret sends."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class RecordingReady:
    """A recording was published in one more format. `record_id` is the internal id of its meeting."""

    meeting_id: str
    record_id: str


@dataclass(frozen=True, slots=True)
class AnalyticsReport:
    """What a meeting was like. `document` is the whole report, with U+FFFD for characters that the database cannot hold."""

    meeting_id: str
    internal_meeting_id: str
    document: Mapping[str, Any] = field(repr=False)


def verify_recording_ready(body: bytes, secrets: Sequence[str], *, now: float) -> RecordingReady:
    """Reads what the script posts after a format was published: a form, or the JSON object that b3lb sends.

    `now` in seconds since 1970; the token need not say when it ends, but it must not have ended. Raises CallbackRefused.
    """
    _require_size(body, MAX_RECORDING_READY_BYTES)
    claims = _verified_claims(_signed_parameters(body), secrets, _RECORDING_READY_ALGORITHMS)
    _require_valid_now(claims, now)
    return RecordingReady(_id_in(claims, "meeting_id"), _id_in(claims, "record_id"))


def sign_recording_ready(*, meeting_id: str, record_id: str, secret: str) -> bytes:
    """The form to post to a front end, signed with its secret."""
    token = _signed({"meeting_id": meeting_id, "record_id": record_id}, secret, {"alg": "HS256"})
    return f"{_SIGNED_PARAMETERS}={token}".encode()


def verify_analytics(authorization: str | None, body: bytes, secrets: Sequence[str], *, now: float) -> AnalyticsReport:
    """Reads a report with its Authorization header. The token does not cover the report. Raises CallbackRefused."""
    _require_size(body, MAX_ANALYTICS_BYTES)
    claims = _verified_claims(_bearer_token(authorization), secrets, _ANALYTICS_ALGORITHMS)
    if "exp" not in claims:
        raise CallbackRefused(Reason.WRONG_PROOF, "the token does not say when it ends")
    _require_valid_now(claims, now)
    if claims["exp"] > now + ANALYTICS_TOKEN_SECONDS + CLOCK_SKEW:
        raise CallbackRefused(Reason.NOT_VALID_NOW, "the token is good for longer than a day")
    document = _object_in(body)
    meeting_id, internal_meeting_id = _id_in(document, "meeting_id"), _id_in(document, "internal_meeting_id")
    # What the database cannot hold can only be spelled with an escape.
    return AnalyticsReport(meeting_id, internal_meeting_id, _storable(document) if b"\\u" in body else document)


def sign_analytics(secret: str, *, now: float) -> str:
    """The Authorization header for a report to a front end, signed with its secret. `now` in seconds since 1970."""
    claims = {"exp": int(now) + ANALYTICS_TOKEN_SECONDS}
    return f"Bearer {_signed(claims, secret, {'typ': 'JWT', 'alg': 'HS512'})}"


def end_callback_url(url: str, *, recordingmarks: bool, meeting_id: str) -> str:
    """`url` as it is called when a meeting has ended. Its own query stays as it is, even with a meetingID in it."""
    outcome = encode([("recordingmarks", str(recordingmarks).lower()), ("meetingID", meeting_id)])
    return _with_query(url, outcome)


def hook_checksum(callback_url: str, body: bytes, secret: str, algorithm: Algorithm = Algorithm.SHA1) -> str:
    """The checksum of a webhook's call with the form `body`, `callback_url` being as it was registered."""
    return sign(callback_url, body, secret, algorithm)


def signed_hook_url(callback_url: str, body: bytes, secret: str, algorithm: Algorithm = Algorithm.SHA1) -> str:
    """The URL to post `body` to."""
    return _with_query(callback_url, f"checksum={hook_checksum(callback_url, body, secret, algorithm)}")


def verify_hook(
    callback_url: str,
    body: bytes,
    secrets: Sequence[str],
    *,
    checksum: str | None = None,
    authorization: str | None = None,
    allowed: frozenset[Algorithm] = ALL_ALGORITHMS,
) -> None:
    """Whether a server's webhooks made this call to the `callback_url` that we registered. Raises CallbackRefused.

    A server proves it with a checksum or, where it is configured so, with its secret itself as a bearer token.
    """
    _require_size(body, MAX_HOOK_BYTES)
    if checksum is None:
        _require_secret(_bearer_token(authorization), secrets)
    elif matching_secret(callback_url, body, checksum.encode(errors="surrogatepass"), secrets, allowed) is None:
        raise CallbackRefused(Reason.WRONG_PROOF, "the checksum is not that of a server's secret")


def _require_size(body: bytes, limit: int) -> None:
    if len(body) > limit:
        raise CallbackRefused(Reason.TOO_LARGE, f"the body is longer than {limit} bytes")


def _require_secret(token: str, secrets: Iterable[str]) -> None:
    # A list, so that every secret is compared: the time tells nothing.
    matches = [hmac.compare_digest(secret.encode(), token.encode(errors="surrogatepass")) for secret in secrets if secret]
    if not any(matches):
        raise CallbackRefused(Reason.WRONG_PROOF, "the token is not a server's secret")


def _require_valid_now(claims: Mapping[str, Any], now: float) -> None:
    """Raises CallbackRefused for a token whose time is over or to come. RFC 7519, 4.1.4 and 4.1.5."""
    for name in claims.keys() & {"exp", "nbf"}:
        if isinstance(claims[name], bool) or not isinstance(claims[name], int | float):
            raise CallbackRefused(Reason.WRONG_PROOF, "the token's time is not a number")
    if now >= claims.get("exp", now) + CLOCK_SKEW:
        raise CallbackRefused(Reason.NOT_VALID_NOW, "the token's time is over")
    if now < claims.get("nbf", now) - CLOCK_SKEW:
        raise CallbackRefused(Reason.NOT_VALID_NOW, "the token's time is to come")


def _signed_parameters(body: bytes) -> str:
    """The one token in a form or in a JSON object, which no form begins like."""
    fields = list(_object_in(body).items()) if body.lstrip().startswith(b"{") else form_fields(body)
    tokens = [value for name, value in fields if name == _SIGNED_PARAMETERS]
    if len(tokens) != 1 or not isinstance(tokens[0], str) or not tokens[0]:
        raise CallbackRefused(Reason.NO_PROOF, f"exactly one {_SIGNED_PARAMETERS} is needed")
    return tokens[0]


def form_fields(body: bytes) -> list[tuple[str, str]]:
    """The fields of a form. Raises CallbackRefused."""
    try:
        return parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FORM_FIELDS)
    except ValueError:
        raise CallbackRefused(Reason.UNREADABLE, "the body is not a form") from None


def _bearer_token(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise CallbackRefused(Reason.NO_PROOF, "an Authorization header with a bearer token is needed")
    return token.strip()


def _verified_claims(token: str, secrets: Iterable[str], algorithms: Collection[str]) -> dict[str, Any]:
    """What the token says, if one of the secrets made it with one of the algorithms. Raises CallbackRefused."""
    try:
        payload = verified_payload(token, secrets, algorithms)
    except InvalidToken as error:
        raise CallbackRefused(Reason.WRONG_PROOF, str(error)) from None
    return _object_in(payload)


def _signed(claims: Mapping[str, Any], secret: str, header: Mapping[str, str]) -> str:
    return signed_token(json.dumps(claims, separators=(",", ":")).encode(), secret, header)


def read_json(content: bytes) -> Any:
    """The JSON object or list in `content`. Raises CallbackRefused for what is not one, or not for every reader the same."""
    try:
        return strict_json.parse(content)
    except strict_json.NotJson as error:
        raise CallbackRefused(Reason.UNREADABLE, str(error)) from None


def _object_in(content: bytes) -> dict[str, Any]:
    document = read_json(content)
    if not isinstance(document, dict):
        raise CallbackRefused(Reason.UNREADABLE, "this is not a JSON object")
    return document


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_storable(inner) for inner in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(inner) for name, inner in value.items()}
    return value


def _id_in(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID_LENGTH or _NOT_IN_IDS.search(value):
        raise CallbackRefused(Reason.UNREADABLE, f"{name} is not an id")
    return value


def _with_query(url: str, addition: str) -> str:
    """`url` with `addition` at the end of its query, and without its fragment, which is never sent."""
    address = url.partition("#")[0]
    separator = "" if address.endswith(("?", "&")) else "&" if "?" in address else "?"
    return f"{address}{separator}{addition}"
