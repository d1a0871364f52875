import base64
import json

import pytest

from simulator.tokens import signed_token

# The token that jwt.io shows for this payload.
KNOWN_TOKEN = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
    "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ."
    "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
)


def test_token_is_the_one_that_others_make() -> None:
    payload = {"sub": "1234567890", "name": "John Doe", "iat": 1516239022}

    assert signed_token({"alg": "HS256", "typ": "JWT"}, payload, "your-256-bit-secret") == KNOWN_TOKEN


def test_parts_are_base64_without_padding_and_text_is_utf_8() -> None:
    header, payload, signature = signed_token({"alg": "HS512"}, {"meeting_id": "Rücksicht"}, "a secret").split(".")

    assert json.loads(_decoded(header)) == {"alg": "HS512"}
    assert _decoded(payload) == '{"meeting_id":"Rücksicht"}'.encode()
    assert len(_decoded(signature)) == 64


def test_other_algorithms_are_not_made() -> None:
    with pytest.raises(KeyError):
        signed_token({"alg": "none"}, {}, "a secret")


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
