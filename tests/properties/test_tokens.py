"""Our tokens against PyJWT, which is used nowhere else."""

import contextlib
import json
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetingpool.bbb.tokens import InvalidToken, signed_token, verified_payload

# PyJWT warns of keys that are shorter than their hash.
pytestmark = pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")

ALL = ["HS256", "HS384", "HS512"]
# Text that begins like a key of another kind is a secret for us, and none for PyJWT.
# No longer than the shortest block, beyond which HMAC takes the hash of a key in its place.
secrets = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=16).filter(
    lambda text: not text.startswith(("-----", "ssh-"))
)
algorithms = st.sampled_from(ALL)
values = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text(), max_size=2)
alphabet = st.characters(codec="ascii") | st.sampled_from("AQgw-_=.+/")

jws = jwt.PyJWS()


def _accepts(token: str, secret: str, allowed: list[str] = ALL) -> bool:
    try:
        verified_payload(token, [secret], allowed)
    except InvalidToken:
        return False
    return True


@given(st.binary(), secrets, algorithms, st.dictionaries(st.text().filter(lambda name: name not in ("b64", "crit")), st.text()))
def test_what_we_sign_others_verify(payload: bytes, secret: str, algorithm: str, header: dict[str, str]) -> None:
    token = signed_token(payload, secret, {**header, "alg": algorithm})

    assert jws.decode_complete(token, secret, [algorithm])["payload"] == payload
    assert jws.get_unverified_header(token) == {**header, "alg": algorithm}


@given(st.binary(), secrets, secrets, algorithms, st.text())
def test_what_others_sign_we_verify(payload: bytes, secret: str, other: str, algorithm: str, key_id: str) -> None:
    token = jws.encode(payload, secret, algorithm, headers={"kid": key_id})

    assert verified_payload(token, [other, secret], [algorithm]) == payload
    # HMAC fills short keys up with zeros: "a" and "a\0" are one key to everybody.
    assert _accepts(token, other) == (other.rstrip("\0") == secret.rstrip("\0"))


@given(st.binary(), secrets, algorithms, st.sampled_from(["", "JWT"]))
def test_tokens_are_byte_for_byte_those_of_others(payload: bytes, secret: str, algorithm: str, typ: str) -> None:
    header = {"typ": typ, "alg": algorithm} if typ else {"alg": algorithm}

    assert signed_token(payload, secret, header) == jws.encode(
        payload, secret, algorithm, headers={"typ": typ, "alg": algorithm}, sort_headers=False
    )


@given(st.binary(max_size=40), secrets, algorithms, st.data())
def test_token_with_any_change_is_refused(payload: bytes, secret: str, algorithm: str, data: st.DataObject) -> None:
    token = signed_token(payload, secret, {"typ": "JWT", "alg": algorithm})
    at = data.draw(st.integers(0, len(token)))
    until = data.draw(st.integers(at, min(at + 3, len(token))))
    changed = token[:at] + data.draw(st.text(alphabet, max_size=3)) + token[until:]

    assert _accepts(changed, secret) == (changed == token)


@given(
    st.dictionaries(st.sampled_from(["alg", "typ", "crit", "b64", "kid", "x"]), values),
    st.sampled_from([*ALL, "none", None]),
    st.binary(max_size=8),
    secrets,
)
def test_what_we_accept_others_accept(header: dict[str, Any], alg: str | None, payload: bytes, secret: str) -> None:
    header = header | ({"alg": alg} if alg else {})
    part = jwt.utils.base64url_encode(json.dumps(header).encode()) + b"." + jwt.utils.base64url_encode(payload)
    made_with = alg if alg in ALL else "HS256"
    signature = jwt.utils.base64url_encode(jws.get_algorithm_by_name(made_with).sign(part, secret.encode()))
    token = (part + b"." + signature).decode()

    if _accepts(token, secret) and isinstance(header.get("kid", ""), str):
        assert jws.decode(token, secret, ALL) == payload
    if alg in ALL and not header.keys() & {"crit", "b64", "kid"}:
        assert verified_payload(token, [secret], ALL) == payload


@given(st.text(alphabet), secrets)
def test_anything_is_a_token_or_refused(token: str, secret: str) -> None:
    with contextlib.suppress(InvalidToken):
        verified_payload(token, [secret], ALL)
        raise AssertionError("nobody signed this")
