"""What a token is, and above all what is none."""

import base64
import json

import jwt
import pytest

from meetingpool.bbb.strict_json import MAX_DEPTH
from meetingpool.bbb.tokens import MAX_TOKEN_LENGTH, InvalidToken, signed_token, verified_payload

SECRET = "your-256-bit-secret"
ALL = ("HS256", "HS384", "HS512")
PAYLOAD = b'{"sub":"1234567890","name":"John Doe","iat":1516239022}'
# The token that jwt.io shows for this payload.
KNOWN_TOKEN = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
    "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ."
    "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
)
HEADER, BODY, SIGNATURE = KNOWN_TOKEN.split(".")


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def signed(header: str, payload: str = BODY) -> str:
    """A token with parts of any kind and the right signature."""
    key = jwt.get_algorithm_by_name("HS256")
    return f"{header}.{payload}.{base64url(key.sign(f'{header}.{payload}'.encode(), SECRET.encode()))}"


def with_header(header: object) -> str:
    return signed(base64url(header if isinstance(header, bytes) else json.dumps(header).encode()))


def refusal_of(token: str, algorithms: tuple[str, ...] = ALL) -> str:
    with pytest.raises(InvalidToken) as refusal:
        verified_payload(token, [SECRET], algorithms)
    return str(refusal.value)


def test_token_is_the_one_that_others_make() -> None:
    assert signed_token(PAYLOAD, SECRET, {"alg": "HS256", "typ": "JWT"}) == KNOWN_TOKEN
    assert verified_payload(KNOWN_TOKEN, [SECRET], ["HS256"]) == PAYLOAD


def test_only_allowed_algorithms_are_used() -> None:
    for algorithm in ALL:
        token = signed_token(PAYLOAD, SECRET, {"alg": algorithm})
        others = tuple(other for other in ALL if other != algorithm)

        assert verified_payload(token, [SECRET], [algorithm]) == PAYLOAD
        assert refusal_of(token, others) == "the token's algorithm is not allowed"
        assert refusal_of(token, ()) == "the token's algorithm is not allowed"


def test_any_of_the_secrets_verifies_and_an_empty_one_never() -> None:
    token = signed_token(PAYLOAD, "", {"alg": "HS256"})

    assert verified_payload(KNOWN_TOKEN, ["other", SECRET, "another"], ALL) == PAYLOAD
    for secrets in ([], [""], ["", "other"]):
        with pytest.raises(InvalidToken):
            verified_payload(token, secrets, ALL)


@pytest.mark.parametrize("secret", ["a", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "ssh-rsa AAAA"])
def test_secret_is_a_text_whatever_it_looks_like(secret: str) -> None:
    assert verified_payload(signed_token(PAYLOAD, secret, {"alg": "HS256"}), [secret], ALL) == PAYLOAD


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"alg": "none"},
        {"alg": "None"},
        {"alg": ""},
        {"alg": None},
        {"alg": "hs256"},
        {"alg": "HS256 "},
        {"alg": ["HS256"]},
        {"alg": {"HS256": 1}},
        {"alg": "HS512"},
        {"alg": "HS384"},
        {"alg": "RS256"},
        {"ALG": "HS256"},
        {"alg": "HS256", "crit": []},
        {"alg": "HS256", "crit": ["exp"], "exp": 1},
        {"alg": "HS256", "crit": ["b64"], "b64": True},
        {"alg": "HS256", "crit": None},
        {"alg": "HS256", "b64": False},
        {"alg": "HS256", "b64": None},
        {"alg": "HS256", "b64": 1},
        [],
        ["HS256"],
        "HS256",
        None,
        b"",
        b"{",
        b'{"alg":"HS256"} x',
        b'{"alg":"none","alg":"HS256"}',
        b'{"alg":"HS256","x":NaN}',
        b'\xef\xbb\xbf{"alg":"HS256"}',
        '{"alg":"HS256"}'.encode("utf-16"),
        b'{"alg":"HS256","x":"\xff"}',
        b'{"alg":"HS256","x":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}",
        b"[" * 11_000,
    ],
)
def test_well_signed_token_with_another_header_is_refused(header: object) -> None:
    refusal_of(with_header(header))


@pytest.mark.parametrize(
    "header",
    [b' {\n"alg" : "HS256" } ', {"kid": "7", "alg": "HS256"}, {"alg": "HS256", "b64": True}, {"alg": "HS256", "typ": "x"}],
)
def test_header_may_say_what_need_not_be_known(header: object) -> None:
    assert verified_payload(with_header(header), [SECRET], ALL) == PAYLOAD


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        HEADER,
        f"{HEADER}.{BODY}",
        f"{HEADER}.{BODY}.",
        f"{HEADER}..{SIGNATURE}",
        f".{BODY}.{SIGNATURE}",
        f".{KNOWN_TOKEN}",
        f"{KNOWN_TOKEN}.",
        f"{KNOWN_TOKEN}.{SIGNATURE}",
        f" {KNOWN_TOKEN}",
        f"{KNOWN_TOKEN}\n",
        KNOWN_TOKEN.replace(".", ". ", 1),
        KNOWN_TOKEN.replace("_", "/"),
        KNOWN_TOKEN + "=",
        KNOWN_TOKEN + "A",
        KNOWN_TOKEN + "\xfc",
        KNOWN_TOKEN + "\ud800",
        KNOWN_TOKEN[:-1],
    ],
)
def test_what_is_not_spelled_like_the_token_is_refused(token: str) -> None:
    refusal_of(token)


def test_signature_has_no_bits_left_over() -> None:
    # Four bits of the last character do not count: c, d, e and f are the same 256 bits to a lenient reader.
    assert SIGNATURE.endswith("c")
    for last in "def":
        assert base64.urlsafe_b64decode(SIGNATURE[:-1] + last + "=") == base64.urlsafe_b64decode(SIGNATURE + "=")
        refusal_of(KNOWN_TOKEN[:-1] + last)


@pytest.mark.parametrize("payload", ["A", "AB", "AAB", "AA=", "AA==", "A A", "A+A_", "A/A_", "A\nAA", "AA%3D"])
def test_payload_that_is_signed_but_not_as_it_is_encoded_is_refused(payload: str) -> None:
    assert refusal_of(signed(HEADER, payload)).startswith("this is not base64url")


def test_token_may_be_as_long_as_any_can_be() -> None:
    payload = b"x" * ((MAX_TOKEN_LENGTH - len(HEADER) - len(SIGNATURE) - 2) * 3 // 4)
    longest, too_long = (signed_token(content, SECRET, {"alg": "HS256", "typ": "JWT"}) for content in (payload, payload + b"x"))

    assert len(longest) <= MAX_TOKEN_LENGTH < len(too_long)
    assert verified_payload(longest, [SECRET], ALL) == payload
    assert refusal_of(too_long) == "this is not a token"
