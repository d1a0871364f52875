"""Whatever happens to meetings, and in whatever order it is told, the ways to find one agree on which there are."""

from collections.abc import Callable
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from meetingpool.domain.meetings import Meeting, MeetingKey, MeetingState
from meetingpool.domain.pool import Pool
from meetingpool.domain.servers import ServerId

KEYS = [MeetingKey("default", f"room-{number}") for number in range(3)]
SERVERS = [ServerId("a"), ServerId("b")]
# The first is free for all; each of the others is only ever one meeting's.
BRIDGES = ["55555", *(f"{digit}000{digit}" for digit in range(1, 7))]

Step = Callable[[Pool], None]


@st.composite
def meetings(draw: st.DrawFn) -> tuple[Meeting, str]:
    number = draw(st.integers(0, len(KEYS) - 1))
    own_bridges = [None, BRIDGES[0], *BRIDGES[1 + 2 * number : 3 + 2 * number]]
    meeting = Meeting(
        key=KEYS[number],
        server_id=draw(st.sampled_from(SERVERS)),
        generation=draw(st.integers(1, 4)),
        state=MeetingState.LIVE,
        voice_bridge=draw(st.sampled_from(own_bridges)),
    )
    return meeting, host_id(meeting.key)


def host_id(key: MeetingKey) -> str:
    return f"{key.meeting_id} there"


def put(meeting: tuple[Meeting, str], pool: Pool) -> None:
    pool.put_meeting(*meeting)


def forget(key: MeetingKey, generation: int, pool: Pool) -> None:
    pool.forget_meeting(key, generation, host_id(key))


def replace(all_meetings: list[tuple[Meeting, str]], pool: Pool) -> None:
    pool.replace_meetings(all_meetings)


steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(partial, st.just(put), meetings()),
    st.builds(partial, st.just(forget), st.sampled_from(KEYS), st.integers(1, 4)),
    st.builds(partial, st.just(replace), st.lists(meetings(), max_size=3)),
)


@given(st.lists(steps, max_size=12))
def test_what_finds_a_meeting_finds_every_meeting_and_no_other(taken: list[Step]) -> None:
    pool = Pool()
    for step in taken:
        step(pool)

    known = pool.meetings.values()
    assert {(m.server_id, host_id(m.key)): m for m in known} == {
        (server, host_id(key)): found for server in SERVERS for key in KEYS if (found := pool.meeting_on(server, host_id(key)))
    }
    own_bridges = {bridge: found for bridge in BRIDGES[1:] if (found := pool.meeting_with_bridge(bridge))}
    assert own_bridges == {m.voice_bridge: m for m in known if m.voice_bridge in BRIDGES[1:]}


@given(st.lists(steps, max_size=12))
def test_voice_bridge_that_several_meetings_had_leads_to_one_that_has_it(taken: list[Step]) -> None:
    pool = Pool()
    for step in taken:
        step(pool)

    found = pool.meeting_with_bridge(BRIDGES[0])
    assert found is None or (found.voice_bridge, pool.meetings[found.key]) == (BRIDGES[0], found)
