"""Whatever is sent, what reaches a server is what somebody who knows the secret has signed, and nothing else."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote_plus, unquote_to_bytes, urlsplit
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.effort import effort
from tests.pool import SECRET
from tests.properties.test_queries import as_used
from tests.stepped import SteppedPool, stepped_pool
from tests.wire import API, FORM, Request, signed

Tokens = list[bytes]

KEY = SECRET.encode()
ALGORITHMS = ("sha1", "sha256", "sha384", "sha512")
# Stands for an id that no other example has used. Of one byte, so that no change makes another id of it.
ROOM = b"~"
JOINED = "the-room"

# Sorted by name, as one client writes them, and as BBB rebuilds a form.
TOKENS = {
    "create": [b"attendeePW=ap", b"meetingID=" + ROOM, b"meta_origin=x", b"moderatorPW=mp", b"name=A%20room", b"record=true"],
    "join": [b"createTime=", b"fullName=Ann", b"guest=true", b"meetingID=" + JOINED.encode(), b"role=VIEWER", b"userID=7"],
}
FURTHER = [
    *(b"", b"=", b"a", b"a=", b"=1", b"a=1;role=MODERATOR", b"?x=1", b"a=%26role=MODERATOR", b"a=%zz", b"a=\xc3\xa4"),
    *(b"role=MODERATOR", b"role=VIEWER", b"%72ole=MODERATOR", b"role%00=MODERATOR", b"+role=MODERATOR", b"Role=MODERATOR"),
    *(b"meetingID=~2", b"meetingID%20=~2", b"meeting%49D=~2", b"duration=5", b"password=mp", b"isBreakout=false"),
    *(b"checksum=", b"checksum", b"%63hecksum=0", b"checksum%00=0", b"checksum[]=0", b"CHECKSUM=0", b"mychecksum=SIGNED"),
    *(b"meta_meetingpool-generation=1", b"META_Meetingpool-x=1", b"meta_tenant-id=b", b"meta_endCallbackUrl=http://x"),
    *(b"a=%ff", b"a=%00%ef%bf%be", b"a=%0d%0ab", b"a%3Db=1", b"a%26role=MODERATOR"),
    *(b"voiceBridge=12345", b"meetingEndedURL=http://x"),
]
positions = st.integers(0, 8)


def inserted(tokens: Tokens, at: int, token: bytes) -> Tokens:
    return [*tokens[:at], token, *tokens[at:]]


def changed(tokens: Tokens, at: int, change: Callable[[bytes], bytes]) -> Tokens:
    return [change(token) if number == at else token for number, token in enumerate(tokens)]


def reencoded(token: bytes) -> bytes:
    """The same name and value in other bytes, where it has a letter that can be escaped."""
    return re.sub(rb"[a-zA-Z](?=[^%]*\Z)", lambda letter: b"%%%02x" % ord(letter[0]), token, count=1)


@st.composite
def changes(draw: st.DrawFn, tokens: Tokens) -> Tokens:
    """The tokens after some change, as somebody might make it who does not like what they say."""
    at, other = draw(positions), draw(positions)
    match draw(st.sampled_from(["insert", "drop", "double", "swap", "encode", "split", "merge", "cut", "flip"])):
        case "insert":
            return inserted(tokens, at, draw(st.sampled_from(FURTHER)))
        case "drop":
            return tokens[:at] + tokens[at + 1 :]
        case "double":
            return inserted(tokens, at, tokens[other % len(tokens)] if tokens else b"")
        case "swap":
            return tokens[at:] + tokens[:at]
        case "encode":
            return changed(tokens, at, reencoded)
        case "split":
            return b"&".join(changed(tokens, at, lambda token: token[:other] + b"&" + token[other:])).split(b"&")
        case "merge":
            merged = b"%26".join(tokens[at : at + 2]).replace(b"=", b"%3D", 1)
            return [*tokens[:at], merged, *tokens[at + 2 :]]
        case "cut":
            return changed(tokens, at, lambda token: token[:other])
        case _:
            return changed(tokens, at, lambda token: token[:other] + token[other : other + 1].swapcase() + token[other + 1 :])


@st.composite
def changed_often(draw: st.DrawFn, tokens: Tokens, most: int) -> Tokens:
    for _ in range(draw(st.integers(0, most))):
        tokens = draw(changes(tokens))
    return tokens


@dataclass(frozen=True)
class Attempt:
    """A request for `call`, and what was said in the one text that was signed for it; None when that cannot be read."""

    call: str
    said: dict[str, str] | None
    request: Request


# By which method, and where the parameters are.
WAYS = [
    (method, place)
    for method in ("GET", "POST")
    for place in ("query", "query beside a form", "form", "form with the checksum in the query")
]
RIGHT_WAYS = {
    "create": [("GET", "query"), ("POST", "query"), ("POST", "form"), ("POST", "form with the checksum in the query")],
    "join": [("GET", "query")],
}


@st.composite
def attempts(draw: st.DrawFn, call: str, ways: list[tuple[str, str]], changes: int) -> Attempt:
    """What a front end has signed, after up to so many changes, and what others have made of it, by up to so many."""
    room = uuid4().hex.encode()
    written = draw(changed_often(TOKENS[call], changes))
    sent = draw(changed_often(inserted(written, draw(positions), b"checksum=SIGNED"), changes))
    text = b"&".join(written).replace(ROOM, room)
    said = meaning(text)
    method, place = draw(st.sampled_from(ways))
    if said and place.startswith("form") and draw(st.booleans()):
        text = rebuilt(said)
    checksum = signed(call.encode(), text, KEY, draw(st.sampled_from(ALGORITHMS)))
    tokens = [token.replace(ROOM, room).replace(b"SIGNED", checksum) for token in sent]
    return Attempt(call, said, request_of(call, method, place, tokens))


def request_of(call: str, method: str, place: str, tokens: Tokens) -> Request:
    checksums = [token for token in tokens if token.startswith(b"checksum=")]
    query, body = {
        "query": (tokens, []),
        "query beside a form": (tokens, [b"role=MODERATOR", b"duration=5", b"isBreakout=true"]),
        "form": ([], tokens),
        "form with the checksum in the query": (checksums, [token for token in tokens if token not in checksums]),
    }[place]
    headers = ((b"content-type", FORM),) if body else ()
    target = b"%b/%b?%b" % (API, call.encode(), b"&".join(query))
    return Request(method=method, target=target, headers=headers, body=b"&".join(body))


def meaning(text: bytes) -> dict[str, str] | None:
    """What a text says by the rules of BBB; None when it says nothing, or two things."""
    said: dict[str, str] = {}
    for token in filter(None, text.split(b"&")):
        try:
            name, value = [unquote_to_bytes(raw.replace(b"+", b" ")).decode() for raw in token.partition(b"=")[::2]]
        except UnicodeDecodeError:
            return None
        if said.setdefault(as_used(name), as_used(value)) != as_used(value):
            return None
    return said


def rebuilt(said: dict[str, str]) -> bytes:
    """The text that BBB makes of a form's fields, to be signed."""
    return "&".join(f"{name}={quote_plus(said[name], safe='*').replace('~', '%7E')}" for name in sorted(said)).encode()


# What a create gets from us in place of what was said: see docs/running.md.
REPLACED = re.compile(r"voiceBridge|meetingEndedURL|checksum|(?i:meta_(meetingpool|tenant)-.*)")
CALLBACK = re.compile(r"(?i)meta_endcallbackurl")
PASSWORDS = ("attendeePW", "moderatorPW")


def left_alone(call: str, parameters: dict[str, str]) -> dict[str, str]:
    """The parameters that must arrive as they were said."""
    if call == "join":
        return {name: value for name, value in parameters.items() if name != "checksum"}
    kept = {name: value for name, value in parameters.items() if not REPLACED.fullmatch(name) and not CALLBACK.fullmatch(name)}
    # A password is made up beside another one.
    return {name: value for name, value in kept.items() if name not in PASSWORDS or value}


@pytest.fixture(scope="module")
def stepped(template_url: str) -> Iterator[SteppedPool]:
    with stepped_pool(template_url, servers=1, failed_checksums_per_minute=10**9) as stepped:
        stepped.get("create", f"meetingID={JOINED}&name=A+room".encode())
        yield stepped


def acted_on(stepped: SteppedPool, attempt: Attempt) -> dict[str, str] | None:
    """The parameters that came of an attempt: those of the create at the server, or of the address that a browser is sent to."""
    (server,) = stepped.pool.fleet.servers
    server.requests.clear()
    answer = stepped.send(attempt.request)
    creates = [request for request in server.requests if request.call == "create"]
    if attempt.call == "create":
        assert len(creates) <= 1
        return dict(creates[0].parameters) if creates else None
    assert not server.requests
    if answer.status != 302:
        return None
    url = urlsplit(answer.headers[b"location"].decode())
    query, _, checksum = url.query.rpartition("&checksum=")
    assert signed(b"join", query.encode(), server.secret.encode()).decode() == checksum
    return dict(parse_qsl(query, keep_blank_values=True))


@pytest.mark.parametrize("call", TOKENS)
@given(data=st.data())
@settings(max_examples=effort(250), deadline=None)
def test_what_is_acted_upon_was_signed(stepped: SteppedPool, call: str, data: st.DataObject) -> None:
    attempt = data.draw(attempts(call, WAYS, changes=2))

    acted = acted_on(stepped, attempt)

    if acted is not None:
        said = attempt.said
        assert said is not None
        came, expected = left_alone(call, acted), left_alone(call, said)
        made_up = [name for name in PASSWORDS if call == "create" and name in came and not said.get(name)]
        assert {name: value for name, value in came.items() if name not in made_up} == expected


@pytest.mark.parametrize("call", TOKENS)
@given(data=st.data())
@settings(max_examples=effort(50), deadline=None)
def test_what_was_signed_and_left_as_it_was_is_acted_upon(stepped: SteppedPool, call: str, data: st.DataObject) -> None:
    attempt = data.draw(attempts(call, RIGHT_WAYS[call], changes=0))

    assert acted_on(stepped, attempt) is not None
