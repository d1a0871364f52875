"""What a tenant is answered is the same, byte for byte, whether or not another tenant is at work.

Two pools: in one a tenant is alone, in the other a second one does what it likes meanwhile, with ids that are made to collide.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meetingpool.bbb.query import encode
from meetingpool.database.tenants import insert_tenant
from meetingpool.domain.meetings import MeetingKey, host_id_of
from meetingpool.domain.tenants import Tenant
from tests.effort import effort
from tests.integration.gateway.test_pool_view import until
from tests.stepped import SteppedPool, stepped_pool
from tests.wire import API, Answered, Request, signed

TENANTS_AT_A_TIME = 100
SLIDES = b"<modules><module name='presentation'><document url='https://x/a.pdf'/></module></modules>"

# {a} and {b} are the ids of the tenants, {room} is what servers know B's meeting `room` by.
IDS = [
    *(
        "room",
        "Room",
        "room2",
        " room ",
        "ro\x00om",
        "r%6fom",
        "room%00",
        "{room}",
        "{b}",
        "{a}",
        "x:{b}",
        "{b}:room",
        "{a}:room",
    ),
    *("12:{b}:room", "room:{b}", "room\\", "ro_m", "ro%", "%", "_", "default", "default:room", "../{b}/room", "<room>&amp;"),
    *("r\u00e4um", "ra\u0308um", "\ufeffroom", "r" * 256, "r" * 255 + "s", "x:" + "{b}" * 15, "room\u2028", "'; --", "0"),
]
PARAMETERS: dict[str, list[dict[str, str]]] = {
    "create": [
        {"name": "A room"},
        {"name": "A room", "moderatorPW": "mp-1"},
        {"name": "Another", "moderatorPW": "mp-2", "attendeePW": "ap-2", "meta_origin": "x", "meta_tenant-id": "{b}"},
        {
            "name": "{b}",
            "meta_tenant-name": "b",
            "meta_meetingpool-generation": "1",
            "meta_endCallbackUrl": "http://lms.example/",
        },
        {"name": "Group", "isBreakout": "true", "parentMeetingID": "room", "sequence": "1"},
    ],
    "join": [{"fullName": "Ann", "role": "VIEWER"}, {"fullName": "{b}", "role": "MODERATOR", "userdata-x": "y"}],
    "arrive": [{"fullName": "Ann <{b}>"}, {"fullName": "room"}],
    "end": [{}, {"password": "mp-1"}, {"password": "mp-2"}, {"password": "wrong"}],
    "getMeetingInfo": [{}],
    "isMeetingRunning": [{}],
    "getMeetings": [{}],
    "getSessions": [{}],
    "sendChatMessage": [{"message": "Hello"}],
    "insertDocument": [{}],
}


@dataclass(frozen=True)
class Step:
    """Something that the tenant `who` does. `arrive`: somebody is in the meeting; the rest are calls."""

    who: str
    call: str
    meeting_id: str
    parameters: dict[str, str]


@st.composite
def steps(draw: st.DrawFn, ids: list[str]) -> Step:
    call = draw(st.sampled_from(list(PARAMETERS)))
    return Step(draw(st.sampled_from("ab")), call, draw(st.sampled_from(ids)), draw(st.sampled_from(PARAMETERS[call])))


# Few ids in each trace, so that both are about the same ones.
traces = st.lists(st.sampled_from(IDS), min_size=1, max_size=3).flatmap(lambda ids: st.lists(steps(ids), min_size=2, max_size=14))


@dataclass(repr=False)
class World:
    """A pool with tenants, of whom each trace takes two that have done nothing yet."""

    stepped: SteppedPool
    known: int = field(default=0)

    def require_tenants(self, number: int) -> None:
        """Makes sure that there are the tenants of this number."""
        if number >= self.known:
            self.stepped.run(self._add_tenants())

    async def _add_tenants(self) -> None:
        names = [f"{who}{number}" for number in range(self.known, self.known + TENANTS_AT_A_TIME) for who in "ab"]
        self.known += TENANTS_AT_A_TIME
        async with self.stepped.pool.database.transaction() as connection:
            for name in names:
                await insert_tenant(connection, Tenant(id=id_of(name), name=name, secrets=(f"secret of {name}",)))
        await until(lambda: self.stepped.gateway.tenants.named(names[-1]) is not None)

    def do(self, step: Step, number: int) -> bytes:
        """What comes of a step, without what no two pools have in common."""
        name, values = f"{step.who}{number}", names_in(number)
        meeting_id = step.meeting_id.format(**values)
        parameters = {key: value.format(**values) for key, value in step.parameters.items()}
        if step.call == "arrive":
            self._arrive(MeetingKey(id_of(name), meeting_id), parameters["fullName"])
            return b""
        return normal(self._ask(name, step.call, {"meetingID": meeting_id, **parameters}))

    def _arrive(self, key: MeetingKey, full_name: str) -> None:
        for server in self.stepped.pool.fleet.servers:
            if meeting := server.meetings.get(host_id_of(key)):
                server.add_person(meeting, full_name)

    def _ask(self, name: str, call: str, parameters: dict[str, str]) -> Answered:
        query = encode(parameters.items()).encode()
        checksum = signed(call.encode(), query, f"secret of {name}".encode())
        request = Request(
            method="POST" if call == "insertDocument" else "GET",
            target=API + b"/%b?%b&checksum=%b" % (call.encode(), query, checksum),
            headers=((b"host", f"{name}.pool.example".encode()), (b"content-type", b"text/xml")),
            body=SLIDES if call == "insertDocument" else b"",
        )
        return self.stepped.send(request)


def id_of(name: str) -> str:
    return f"id-of-{name}"


def names_in(number: int) -> dict[str, str]:
    """What the ids and parameters of a trace speak of."""
    a, b = id_of(f"a{number}"), id_of(f"b{number}")
    return {"a": a, "b": b, "room": host_id_of(MeetingKey(b, "room"))}


# Times, what servers make up, and which server it is.
DIFFERENT = [
    (re.compile(rb"(<internalMeetingID>|<parentMeetingID>|<breakout>|<meetingID>)([0-9a-f]{40})-[0-9]{13}<"), rb"\1\2<"),
    (re.compile(rb"<(createTime|startTime|createDate|voiceBridge)>[^<]*<"), rb"<\1><"),
    (re.compile(rb"<(attendeePW|moderatorPW)>[A-Za-z0-9]{8}<"), rb"<\1><"),
    (re.compile(rb"<(isListeningOnly|hasJoinedVoice|hasVideo|isPresenter)>[a-z]*<"), rb"<\1><"),
    (re.compile(rb"<(listenerCount|voiceParticipantCount|videoCount)>[0-9]*<"), rb"<\1><"),
    (re.compile(rb"<userID>w_[a-z0-9]*<"), rb"<userID><"),
    (re.compile(rb"http://127\.0\.0\.1:[0-9]+/"), rb"server/"),
    (re.compile(rb"checksum=[0-9a-f]{64}"), rb"checksum="),
]
MEETING = re.compile(rb"<meeting>.*?</meeting>", re.DOTALL)


def normal(answer: Answered) -> bytes:
    headers = b"".join(b"%b: %b\n" % header for header in answer.headers.items() if header[0] != b"content-length")
    text = b"%d\n%b\n%b" % (answer.status, headers, answer.body)
    for pattern, replacement in DIFFERENT:
        text = pattern.sub(replacement, text)
    # Lists are put together server by server.
    return MEETING.sub(b"", text) + b"".join(sorted(MEETING.findall(text)))


@pytest.fixture(scope="module")
def worlds(template_url: str) -> Iterator[tuple[World, World]]:
    with (
        stepped_pool(template_url, servers=2, multitenancy_enabled=True) as alone,
        stepped_pool(template_url, servers=2, multitenancy_enabled=True) as together,
    ):
        yield World(alone), World(together)


numbers = count()


@given(trace=traces)
@settings(max_examples=effort(80), deadline=None)
def test_answers_to_one_tenant_are_the_same_whatever_another_does(worlds: tuple[World, World], trace: list[Step]) -> None:
    alone, together = worlds
    number = next(numbers)
    for world in worlds:
        world.require_tenants(number)

    expected = [alone.do(step, number) for step in trace if step.who == "a"]
    answered = [(step, together.do(step, number)) for step in trace]

    assert [answer for step, answer in answered if step.who == "a"] == expected


def test_traces_are_about_meetings_that_both_have(worlds: tuple[World, World]) -> None:
    """The comparison would say nothing if the answers it looks at did."""
    alone, together = worlds
    number = next(numbers)
    for world in worlds:
        world.require_tenants(number)
    for world in worlds:
        created = [world.do(Step(who, "create", "room", {"name": f"Room of {who}"}), number) for who in "ab"]
        assert all(b"<returncode>SUCCESS<" in answer for answer in created)
    info, other = [together.do(Step(who, "getMeetingInfo", "room", {}), number) for who in "ab"]
    assert info == alone.do(Step("a", "getMeetingInfo", "room", {}), number) != other
    assert b"Room of a" in info


def test_long_ids_that_differ_at_their_end_are_two_meetings(worlds: tuple[World, World]) -> None:
    alone, _ = worlds
    number = next(numbers)
    alone.require_tenants(number)
    created = [alone.do(Step("a", "create", "r" * 255 + end, {"name": "A room"}), number) for end in "rs"]
    internal_ids = [re.findall(b"<internalMeetingID>[0-9a-f]{40}", answer) for answer in created]
    assert all(internal_ids)
    assert internal_ids[0] != internal_ids[1]
