"""Tokens that prove a shared secret: compact JWS (RFC 7515, 7.1) with HMAC (RFC 7518, 3.2), and nothing else of these standards.

Called by `callbacks.py`. A token is read in one way only: there is one spelling of each, and of how to verify it, it says nothing
but which of the allowed algorithms made it.
"""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Iterable, Mapping

from meetingpool.bbb import strict_json

MAX_TOKEN_LENGTH = 16 * 1024

_DIGESTS = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}


class InvalidToken(ValueError):
    """Whoever made the token does not have the secret, or it is no token."""


def signed_token(payload: bytes, secret: str, header: Mapping[str, str]) -> str:
    """The token of `payload`. `header` is sent as it is; its `alg` is HS256, HS384 or HS512."""
    signed = f"{_encoded(_compact(header))}.{_encoded(payload)}"
    return f"{signed}.{_signature(signed, secret, header['alg'])}"


def verified_payload(token: str, secrets: Iterable[str], algorithms: Collection[str]) -> bytes:
    """What one of the secrets signed with one of the algorithms. An empty secret never matches. Raises InvalidToken."""
    if len(token) > MAX_TOKEN_LENGTH or not token.isascii() or token.count(".") != 2:
        raise InvalidToken("this is not a token")
    signed, _, signature = token.rpartition(".")
    header, _, payload = signed.partition(".")
    algorithm = _algorithm_in(header, algorithms)
    # Compared as text, a signature has one spelling. A list, so that every secret is compared: the time tells nothing.
    matches = [hmac.compare_digest(_signature(signed, secret, algorithm), signature) for secret in secrets if secret]
    if not any(matches):
        raise InvalidToken("the token was not made with the secret")
    return _decoded(payload)


def _algorithm_in(header: str, allowed: Collection[str]) -> str:
    """What made the token. Extensions that a reader must know (RFC 7515, 4.1.11; RFC 7797) are refused: we know none."""
    try:
        says = strict_json.parse(_decoded(header))
    except strict_json.NotJson:
        raise InvalidToken("the token's header is not JSON") from None
    if not isinstance(says, dict) or "crit" in says or says.get("b64", True) is not True:
        raise InvalidToken("the token's header asks for what we do not know")
    for algorithm in allowed:
        if says.get("alg") == algorithm:
            return algorithm
    raise InvalidToken("the token's algorithm is not allowed")


def _signature(signed: str, secret: str, algorithm: str) -> str:
    return _encoded(hmac.digest(secret.encode(), signed.encode(), _DIGESTS[algorithm]))


def _encoded(content: bytes) -> str:
    """Base64url without padding. RFC 7515, 2."""
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _decoded(part: str) -> bytes:
    """What `part` encodes, if we would encode it like that: no padding, no foreign characters, no bits left over."""
    try:
        content = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise InvalidToken("this is not base64url") from None
    if _encoded(content) != part:
        raise InvalidToken("this is not base64url as it is written")
    return content


def _compact(values: Mapping[str, str]) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode()
