"""What becomes of a good request: a few changes, by chance, to its parameters, path, method, headers and body.

Most of them before the checksum is made, so that they come far; the rest afterwards, as a stranger would.
"""

from collections.abc import Callable
from random import Random

from tests.fuzz.seeds import SECRET_OF_TENANT, Seed
from tests.pool import SECRET
from tests.wire import FORM, Headers, Request, signed

Tokens = list[bytes]

ALGORITHMS = ("sha1", "sha256", "sha384", "sha512")
METHODS = ("GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")
NAMES = [
    *(
        b"meetingID",
        b"name",
        b"attendeePW",
        b"moderatorPW",
        b"password",
        b"fullName",
        b"role",
        b"checksum",
        b"createTime",
        b"duration",
    ),
    *(
        b"record",
        b"voiceBridge",
        b"isBreakout",
        b"parentMeetingID",
        b"meta_server-tag",
        b"meta_endCallbackUrl",
        b"meetingEndedURL",
    ),
    *(
        b"meta_bbb-recording-ready-url",
        b"meta_analytics-callback-url",
        b"meta_meetingpool-generation",
        b"meta_tenant-id",
        b"meta_x",
    ),
    *(
        b"meta_secret-lrs-payload",
        b"userdata-x",
        b"message",
        b"userName",
        b"redirect",
        b"groups",
        b"dialNumber",
        b"webVoice",
        b"",
    ),
    *(
        b"maxParticipants",
        b"logoutURL",
        b"sequence",
        b"meta_<script",
        b"meta_xmlns",
        b"%63hecksum",
        b"checksum[]",
        b"a%00",
        b"%ff",
    ),
    *(b"section", b"variable_pin", b"Caller-Caller-ID-Number", b"signed_parameters", b"recordingmarks", b"sessionToken"),
]
VALUES = [
    *(
        b"",
        b"0",
        b"-1",
        b"true",
        b"false",
        b"1e999",
        b"99999999999999999999",
        b"room-1",
        b"+room-1+",
        b"%20",
        b"null",
        b"NaN",
        b"a,b",
    ),
    *(
        b"%00",
        b"%ff",
        b"%c0%ae",
        b"%ed%a0%80",
        b"%0d%0aSet-Cookie:%20a=b",
        b"%1b%5b31m",
        b"%e2%80%a8",
        b"%ef%bf%be",
        b"%zz",
        b"%",
    ),
    *(
        b"%3Cmeeting%3E",
        b"]]%3E",
        b"%3C!DOCTYPE%20a%3E",
        b"&amp;",
        b"'%20OR%201=1--",
        b"../../etc/passwd",
        b"{}",
        b"[]",
        b"%25s%25n",
    ),
    *(b"http://127.0.0.1:1/", b"http://[::1", b"https://a:b@c/", b"javascript:x", b"http://%00/", b"file:///etc/passwd"),
    *(b"%F0%9F%98%80" * 70, b"a" * 257, b"%C3%A4" * 256, b"x" * 5000, b"x" * 70_000, b"{0.__class__}", b"${7*7}", b"gpu!", b"!"),
    *(b"\xff\xfe", b"\xc3\xa4", b"\xf0\x9f\x98\x80", b"\x80", b"a=b=c", b"a;b=c", b"?", b"??"),
]
HEADERS: list[tuple[bytes, list[bytes]]] = [
    (
        b"content-type",
        [
            FORM,
            b"text/xml",
            b'application/xml; charset="utf-8"',
            b"multipart/form-data",
            b"application/json",
            b"",
            b";",
            b"\xff/\xff",
        ],
    ),
    (b"content-encoding", [b"gzip", b"identity", b""]),
    (b"transfer-encoding", [b"chunked"]),
    (
        b"host",
        [
            b"",
            b"a",
            b"a.pool.example",
            b"b.pool.example:99999",
            b"[::1]:80",
            b"[",
            b":",
            b"\xff",
            b"a" * 5000,
            b"a..",
            b"a b",
            b"A.x",
        ],
    ),
    (b"authorization", [b"", b"Basic", b"Basic \xff", b"Basic ====", b"Basic Og==", b"Bearer x", b"Bearer " + b"a." * 9000]),
    (b"cookie", [b"a=b", b"=;=;", b"\xff"]),
    (b"accept-encoding", [b"UTF-8", b"gzip"]),
    (b"x-forwarded-host", [b"b.pool.example"]),
    (b"x-forwarded-for", [b"::1, 10.0.0.1", b"\xff"]),
    (b"range", [b"bytes=0-,0-,0-", b"bytes=-1"]),
    (b"expect", [b"100-continue"]),
    (b"upgrade", [b"h2c"]),
    (b"x-http-method-override", [b"DELETE"]),
]
CALLS = [
    *(b"create", b"join", b"end", b"getMeetings", b"getUser", b"Create", b"create.xml", b"hooks/create", b"getRecordings", b""),
    *(
        b"enter",
        b"setConfigXML",
        b"create/../end",
        b"%2e%2e",
        b"create%2f",
        b"create%00",
        b"\\",
        b"create;x=1",
        b"%ff",
        b"x" * 3000,
    ),
]
# `a` is a tenant where there are any.
PREFIXES = [b"", b"/t/a", b"/t/A", b"/t/nobody", b"/t/", b"/t/%ff", b"/t/a/b", b"//", b"/."]


def mutated(seed: Seed, random: Random) -> Request:
    """A request made of `seed`. Untouched, it would be accepted."""
    path, method, headers = seed.path, seed.method, seed.headers
    tokens, form = list(seed.tokens), list(seed.form)
    for _ in range(random.choice((0, 1, 1, 2, 3))):
        tokens, form = _changed(tokens, random), _changed(form, random) if form else form
    if seed.call is not None:
        _sign(tokens, form, seed, random)
    if random.random() < 0.15:
        tokens, form = _changed(tokens, random), _changed(form, random) if form else form
    if random.random() < 0.1:
        path = random.choice(_PATH_CHANGES)(path, random)
    if random.random() < 0.05:
        method = random.choice(METHODS)
    if random.random() < 0.2:
        headers = _with_header(headers, random)
    body = b"&".join(form) if form else seed.body
    if random.random() < 0.1:
        body = _changed_bytes(body, random)
    query = b"&".join(tokens)
    return Request(
        method=method,
        target=_in_a_path(path) + (b"?" + _in_a_query(query) if query else b""),
        headers=headers,
        body=body,
        address=random.choice(("127.0.0.1", "2001:db8::1", "192.0.2.7", "")),
        is_cut_off=bool(body) and random.random() < 0.02,
    )


def _sign(tokens: Tokens, form: Tokens, seed: Seed, random: Random) -> None:
    """Puts the right checksum among the tokens that it covers."""
    secret = SECRET.encode() if seed.of_installation else SECRET_OF_TENANT
    signed_tokens = form or tokens
    checksum = signed(seed.call or b"", b"&".join(signed_tokens), secret, random.choice(ALGORITHMS))
    place = len(signed_tokens) if random.random() < 0.8 else random.randint(0, len(signed_tokens))
    signed_tokens.insert(place, b"checksum=" + checksum)


def _changed(tokens: Tokens, random: Random) -> Tokens:
    return random.choice(_TOKEN_CHANGES)(tokens, random)


def _other_value(tokens: Tokens, random: Random) -> Tokens:
    if not tokens:
        return _more(tokens, random)
    at = random.randrange(len(tokens))
    name = tokens[at].partition(b"=")[0]
    return [*tokens[:at], name + b"=" + random.choice(VALUES), *tokens[at + 1 :]]


def _other_name(tokens: Tokens, random: Random) -> Tokens:
    if not tokens:
        return _more(tokens, random)
    at = random.randrange(len(tokens))
    return [*tokens[:at], random.choice(NAMES) + b"=" + tokens[at].partition(b"=")[2], *tokens[at + 1 :]]


def _more(tokens: Tokens, random: Random) -> Tokens:
    at = random.randint(0, len(tokens))
    return [*tokens[:at], random.choice(NAMES) + b"=" + random.choice(VALUES), *tokens[at:]]


def _fewer(tokens: Tokens, random: Random) -> Tokens:
    return [token for token in tokens if random.random() < 0.7]


def _doubled(tokens: Tokens, random: Random) -> Tokens:
    return [*tokens, *tokens[: random.randint(0, 2)]]


def _shuffled(tokens: Tokens, random: Random) -> Tokens:
    return random.sample(tokens, len(tokens))


def _very_many(tokens: Tokens, random: Random) -> Tokens:
    return [*tokens, *(b"p%d=" % number for number in range(random.choice((10, 480, 600))))] if random.random() < 0.1 else tokens


def _spoilt_bytes(tokens: Tokens, random: Random) -> Tokens:
    return _changed_bytes(b"&".join(tokens), random).split(b"&")


_TOKEN_CHANGES: list[Callable[[Tokens, Random], Tokens]] = [
    *(_other_value, _other_value, _other_value, _more, _more, _other_name, _fewer, _doubled, _shuffled, _very_many, _spoilt_bytes)
]


def _changed_bytes(text: bytes, random: Random) -> bytes:
    start = random.randint(0, len(text))
    end = min(len(text), start + random.choice((0, 1, 1, 2, 10)))
    inserted = random.choice((b"", random.randbytes(random.randint(1, 8)), random.choice(VALUES), text[:50] * 2))
    return text[:start] + inserted + text[end:]


def _under_prefix(path: bytes, random: Random) -> bytes:
    return random.choice(PREFIXES) + path


def _other_call(path: bytes, random: Random) -> bytes:
    return path.rpartition(b"/")[0] + b"/" + random.choice(CALLS)


def _spoilt_path(path: bytes, random: Random) -> bytes:
    return b"/" + _changed_bytes(path, random).replace(b"?", b"")


def _with_slashes(path: bytes, random: Random) -> bytes:
    return path.replace(b"/", b"//") if random.random() < 0.5 else path + b"/"


_PATH_CHANGES: list[Callable[[bytes, Random], bytes]] = [_under_prefix, _other_call, _spoilt_path, _with_slashes]


def _with_header(headers: Headers, random: Random) -> Headers:
    name, values = random.choice(HEADERS)
    kept = headers if random.random() < 0.1 else tuple(header for header in headers if header[0] != name)
    return (*kept, (name, random.choice(values)))


# What a parser of HTTP lets through.
_PATH_BYTES = frozenset(range(0x21, 0x7F)) - {ord("#"), ord("?")}
_QUERY_BYTES = frozenset(range(0x21, 0x100)) - {0x7F, ord("#")}


def _in_a_path(path: bytes) -> bytes:
    if _PATH_BYTES.issuperset(path):
        return path
    return b"".join(bytes([byte]) if byte in _PATH_BYTES else b"%%%02x" % byte for byte in path)


def _in_a_query(query: bytes) -> bytes:
    if _QUERY_BYTES.issuperset(query):
        return query
    return b"".join(bytes([byte]) if byte in _QUERY_BYTES else b"%%%02x" % byte for byte in query)
