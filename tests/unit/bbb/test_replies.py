"""How replies are read, however they come in pieces, and what is refused."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetingpool.bbb.errors import UnusableAnswer
from meetingpool.bbb.replies import MAX_HEAD_BYTES, Reply, ReplyReader

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n\r\n"
WELL_FORMED = [
    (OK + b"Content-Length: 2\r\n\r\nok", b"ok"),
    (OK + b"content-length:0\r\n\r\n", b""),
    (OK + b"Content-Encoding: identity\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 900\r\n\r\n", b""),
    (CHUNKED + b"1\r\no\r\n1;name=value\r\nk\r\n0\r\n\r\n", b"ok"),
    (CHUNKED + b"2\r\nok\r\n0\r\nContent-Type: a/trailer\r\nLocation: /elsewhere\r\n\r\n", b"ok"),
    (OK + b"Transfer-Encoding: Chunked \r\n\r\n02\r\nok\r\n0\r\n\r\n", b"ok"),
    (INTERIM + OK + b"Content-Length: 2\r\n\r\nok", b"ok"),
]
replies = st.sampled_from(WELL_FORMED)


def reader(max_body: int = 1000) -> ReplyReader:
    reading = ReplyReader()
    reading.max_body = max_body
    return reading


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    at = [0, *sorted(cut % len(data) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(at) if start < end]


@given(reply=replies, cuts=st.lists(st.integers(0, 1000), max_size=6))
def test_reply_is_the_same_however_it_is_cut(reply: tuple[bytes, bytes], cuts: list[int]) -> None:
    data, body = reply
    reading = reader()
    *first, last = pieces_of(data, cuts)

    assert [reading.feed(piece) for piece in first] == [None] * len(first)
    complete = reading.feed(last)

    assert complete is not None
    assert (complete.body, complete.content_type, complete.location) == (body, None, None)
    assert reading.is_reusable


@given(several=st.lists(replies, min_size=2, max_size=4))
def test_replies_of_one_connection_do_not_touch_each_other(several: list[tuple[bytes, bytes]]) -> None:
    reading = reader()
    bodies = []
    for data, _ in several:
        reply = reading.feed(data)
        bodies.append(reply and reply.body)
        reading.forget()

    assert bodies == [body for _, body in several]


def test_reply_tells_status_type_and_location() -> None:
    data = (
        b"HTTP/1.1 302 Found\r\nCONTENT-TYPE: text/html \r\nLocation:  /a\xc3\xa4  \r\nlocation: /b\r\nContent-Length: 0\r\n\r\n"
    )

    assert reader().feed(data) == Reply(302, "text/html", "/aä", b"")


def test_body_that_came_in_one_piece_is_not_copied() -> None:
    pieces: list[bytes] = []

    class Watched(ReplyReader):
        def on_body(self, piece: bytes) -> None:
            pieces.append(piece)
            super().on_body(piece)

    watched = Watched()
    watched.max_body = 1000
    reply = watched.feed(OK + b"Content-Length: 5\r\n\r\nwhole")

    assert reply is not None
    assert [reply.body is piece for piece in pieces] == [True]


@pytest.mark.parametrize(
    "data",
    [
        OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nok",
        OK + b"Connection: keep-alive, Close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
        OK + b"Content-Length: 2\r\n\r\nokgarbage",
        OK + b"Content-Length: 2\r\n\r\nokH",
        OK + b"Content-Length: 2\r\n\r\nok" + OK + b"Content-Length: 5\r\n\r\nother",
        OK + b"Content-Length: 2\r\n\r\nok" + OK + b"Content-Encoding: gzip\r\nContent-Length: 5000\r\n\r\n",
        CHUNKED + b"2\r\nok\r\n0\r\n\r\n0\r\n\r\n",
    ],
)
def test_connection_that_closes_or_says_more_is_not_used_again(data: bytes) -> None:
    reading = reader()

    reply = reading.feed(data)

    assert reply is not None
    assert reply.body == b"ok"
    assert not reading.is_reusable


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_body_without_a_length_ends_with_the_connection(version: bytes) -> None:
    reading = reader()

    assert reading.feed(b"HTTP/%s 200 OK\r\n\r\no" % version) is None
    assert reading.feed(b"k") is None

    assert reading.end() == Reply(200, None, None, b"ok")
    assert not reading.is_reusable


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n",
        OK + b"Content-Length: 3\r\n\r\nok",
        CHUNKED + b"2\r\nok\r\n",
        CHUNKED + b"2\r\nok\r\n0\r\n",
        OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
def test_any_other_reply_that_ends_early_is_none(data: bytes) -> None:
    reading = reader()

    assert reading.feed(data) is None
    assert reading.end() is None


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"HTTP/1.1 200 OK\n\n",
        OK + b"Content-Length : 0\r\n\r\n",
        OK + b"Content-Length: +5\r\n\r\n",
        OK + b"Content-Length: 99999999999999999999\r\n\r\n",
        OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK + b"X-Name: value\r\n folded\r\n\r\n",
        CHUNKED + b"zz\r\n",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nnot ours",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
def test_what_is_not_a_reply_to_our_request_is_refused(data: bytes) -> None:
    with pytest.raises(UnusableAnswer):
        reader().feed(data)


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (OK + b"X-Long: ", b"a" * 1000),
        (OK, b"X-One: of many\r\n" * 100),
        (OK + b"A" * 1000, b"a" * 1000),
        (b"HTTP/1.1 200 ", b"O" * 1000),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
        (b"", b"\r\n" * 1000),
        (CHUNKED + b"2\r\nok\r\n0\r\n", b"X-Trailer: one of many\r\n" * 100),
        (CHUNKED + b"2\r\nok\r\n0\r\nX-Trailer: ", b"a" * 1000),
        (CHUNKED + b"2;name=", b"a" * 1000),
    ],
)
def test_head_without_end_is_refused(start: bytes, more: bytes) -> None:
    reading = reader()
    reading.feed(start)

    def read_on() -> None:
        for _ in range(MAX_HEAD_BYTES // len(more) + 2):
            reading.feed(more)

    with pytest.raises(UnusableAnswer, match="head of the answer is too large"):
        read_on()


@pytest.mark.parametrize(
    "data",
    [
        OK + b"Content-Length: 2\r\nX-Long: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\nok",
        OK + b"Content-Length: 2\r\n" + b"X-One: of many\r\n" * 8000 + b"\r\nok",
        CHUNKED + b"2\r\nok\r\n0\r\nX-Trailer: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n",
    ],
)
def test_large_head_is_refused_though_it_came_at_once(data: bytes) -> None:
    with pytest.raises(UnusableAnswer, match="head of the answer is too large"):
        reader().feed(data)


def test_head_of_a_proxy_with_many_fields_is_read() -> None:
    fields = b"".join(b"X-Field-%d: %s\r\n" % (number, b"a" * 100) for number in range(500))
    data = OK + fields + b"Content-Length: 2\r\n\r\nok"
    reading = reader()

    *_, reply = [reading.feed(data[at : at + 1400]) for at in range(0, len(data), 1400)]

    assert reply == Reply(200, None, None, b"ok")


@pytest.mark.parametrize("head", [OK + b"Content-Length: 1000\r\n\r\n", CHUNKED + b"3e8\r\n", OK + b"\r\n"])
def test_body_may_be_as_large_as_the_limit(head: bytes) -> None:
    reading = reader(max_body=1000)

    reply = reading.feed(head + b"a" * 1000 + (b"\r\n0\r\n\r\n" if b"chunked" in head else b"")) or reading.end()

    assert reply is not None
    assert len(reply.body) == 1000


@pytest.mark.parametrize(
    "data",
    [
        OK + b"Content-Length: 1001\r\n\r\n",
        CHUNKED + b"3e8\r\n" + b"a" * 1000 + b"\r\n1\r\na",
        CHUNKED + b"1\r\na\r\n" * 1001,
        OK + b"\r\n" + b"a" * 1001,
        OK + b"\r\n" + b"a" * 5000,
    ],
)
def test_larger_body_is_refused_at_once(data: bytes) -> None:
    with pytest.raises(UnusableAnswer, match="too large"):
        reader(max_body=1000).feed(data)


@given(data=st.lists(st.one_of(st.binary(max_size=20), replies.map(lambda reply: reply[0])), max_size=4))
def test_whatever_comes_is_a_reply_or_refused(data: list[bytes]) -> None:
    reading = reader()
    try:
        for piece in data:
            if reading.feed(piece):
                return
    except UnusableAnswer:
        return
    reading.end()
