"""Whatever front ends and people are called, every answer is well-formed for two parsers and says what was said."""

from collections.abc import Iterator
from xml.parsers import expat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from meetingpool.bbb.query import encode
from meetingpool.database.tenants import insert_tenant
from meetingpool.domain.tenants import Tenant
from tests.effort import effort
from tests.integration.gateway.test_pool_view import until
from tests.properties.test_documents import legal
from tests.properties.test_queries import as_used
from tests.stepped import SteppedPool, stepped_pool
from tests.wire import API, Answered, Request, signed

SECRET = b"secret of a"
MARKUP = [
    *("<", ">", "&", '"', "'", "]]>", "<![CDATA[", "</meeting>", "<metadata>", "&#0;", "\r", "\n", "\x1b[31m", "\ufffe"),
    *("\u202e", "\x85", "\u2028", "<meetingpool-generation>"),
]
texts = st.one_of(
    st.text(max_size=20), st.lists(st.one_of(st.sampled_from(MARKUP), st.text(max_size=3)), max_size=8).map("".join)
)
KEYS = ["x", "xml", "xmlns", "1x", "a b", "<script", "meeting", "meetings", "metadata", "meetingID", "-", "X-Note", "\u00e4", ""]
keys = st.one_of(st.sampled_from(KEYS), texts)
metadata = st.dictionaries(keys.map(lambda key: f"meta_{key}"), texts, max_size=3)
ADDRESSES = ("meta_endCallbackUrl", "meta_bbb-recording-ready-url", "meta_analytics-callback-url")


@pytest.fixture(scope="module")
def stepped(template_url: str) -> Iterator[SteppedPool]:
    """A pool with the tenant a, so that ids at servers and in answers are different ones."""
    with stepped_pool(template_url, servers=1, multitenancy_enabled=True, failed_checksums_per_minute=10**9) as stepped:
        stepped.run(_add_tenant(stepped))
        yield stepped


async def _add_tenant(stepped: SteppedPool) -> None:
    async with stepped.pool.database.transaction() as connection:
        await insert_tenant(connection, Tenant(id="a", name="a", secrets=(SECRET.decode(),)))
    await until(lambda: stepped.gateway.tenants.named("a") is not None)


def ask(stepped: SteppedPool, call: str, /, **parameters: str) -> Answered:
    query = encode(parameters.items()).encode()
    target = API + b"/%b?%b&checksum=%b" % (call.encode(), query, signed(call.encode(), query, SECRET))
    return stepped.send(Request(target=target, headers=((b"host", b"a.pool.example"),)))


def parsed(answer: Answered) -> "etree._Element":
    assert (answer.status, answer.headers[b"content-type"]) == (200, b"text/xml;charset=utf-8")
    expat.ParserCreate().Parse(answer.body, True)
    return etree.fromstring(answer.body)


def said(text: str) -> str:
    """`text` as it comes back."""
    return as_used(legal(text))


@given(meeting_id=texts, name=texts, given_metadata=metadata, address=texts, person=texts)
@settings(max_examples=effort(60), deadline=None)
def test_answers_about_a_meeting_are_well_formed_and_say_what_was_said(
    stepped: SteppedPool, meeting_id: str, name: str, given_metadata: dict[str, str], address: str, person: str
) -> None:
    (server,) = stepped.pool.fleet.servers
    server.meetings.clear()
    addresses = dict.fromkeys(ADDRESSES, address)

    created = parsed(ask(stepped, "create", **given_metadata, **addresses, meetingID=meeting_id, name=f"A {name}"))
    for meeting in server.meetings.values():
        server.add_person(meeting, person)
    calls = ("getMeetingInfo", "getMeetings", "getSessions", "isMeetingRunning", "end")
    info, listed, sessions, _, _ = [parsed(ask(stepped, call, meetingID=meeting_id)) for call in calls]

    if created.findtext("returncode") == "SUCCESS":
        assert created.findtext("meetingID") == said(meeting_id)
        assert sessions.findtext("sessions/meeting/userName") == legal(person)
        for document in (info, next(listed.iter("meeting"))):
            assert document.findtext("meetingID") == said(meeting_id)
            assert document.findtext("meetingName") == said(f"A {name}")
            assert document.findtext("attendees/attendee/fullName") == legal(person)
            shown = {str(child.tag): child.text or "" for child in document.iterfind("metadata/*")}
            assert shown["endcallbackurl"] == shown["analytics-callback-url"] == said(address)
            assert not [key for key in shown if key.startswith(("meetingpool-", "tenant-"))]


@given(text=texts, name=texts)
@settings(max_examples=effort(60), deadline=None)
def test_refusals_are_well_formed_whatever_they_quote(stepped: SteppedPool, text: str, name: str) -> None:
    refused = [
        stepped.send(Request(target=API + b"/create?" + encode([("meetingID", text), ("checksum", "0" * 64)]).encode())),
        ask(stepped, "create", **{"meetingID": "a new room", "name": "A room", "meta_server-tag": f"{text}x!"}),
        ask(stepped, "create", **{"meetingID": f"{text},", name: text, f" {name}\x00": f"{text}2"}),
        ask(stepped, "join", meetingID=f"nobody's {text}", fullName=name),
        ask(stepped, "getUser", name=text),
    ]
    for answer in refused:
        assert parsed(answer).findtext("returncode") == "FAILED"
