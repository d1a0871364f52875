"""The checksum of a BBB call: lowercase_hex(H(callName + queryWithoutChecksum + secret)), H known by its length.

Source of the rule: the BBB API page and `ValidationService`. Called by the gateway and the simulator to verify,
by the client to sign.
"""

import hashlib
import hmac
from collections.abc import Sequence
from enum import StrEnum


class Algorithm(StrEnum):
    SHA1 = "sha1"
    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"


ALL_ALGORITHMS = frozenset(Algorithm)

_HASHES = {
    Algorithm.SHA1: hashlib.sha1,
    Algorithm.SHA256: hashlib.sha256,
    Algorithm.SHA384: hashlib.sha384,
    Algorithm.SHA512: hashlib.sha512,
}
_BY_HEX_LENGTH = {40: Algorithm.SHA1, 64: Algorithm.SHA256, 96: Algorithm.SHA384, 128: Algorithm.SHA512}


def sign(call: str, query: bytes, secret: str, algorithm: Algorithm = Algorithm.SHA256) -> str:
    """The checksum of `call` with the raw `query` (without a checksum), in lower-case hex."""
    return _HASHES[algorithm](call.encode() + query + secret.encode(), usedforsecurity=False).hexdigest()


def matching_secret(
    call: str,
    signed: bytes,
    checksum: bytes,
    secrets: Sequence[str],
    allowed: frozenset[Algorithm] = ALL_ALGORITHMS,
) -> int | None:
    """The index of the secret that `checksum` was made with, or None.

    Every secret is tried, whatever matched before, and a checksum of unknown length costs one comparison too, so
    that the time tells nothing. Upper-case hex is accepted; an empty secret never matches.
    """
    algorithm = _BY_HEX_LENGTH.get(len(checksum))
    usable = algorithm if algorithm in allowed else None
    given = checksum.lower()
    found = None
    for index, secret in enumerate(secrets):
        expected = sign(call, signed, secret, usable or Algorithm.SHA256).encode()
        if hmac.compare_digest(expected, given) and usable and secret and found is None:
            found = index
    return found
