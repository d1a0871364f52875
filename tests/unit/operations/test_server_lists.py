"""Lists of servers in YAML: what is refused, and that nothing is lost on the way out and in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetingpool.domain.server_sync import Mode, WantedServer, planned
from meetingpool.domain.servers import AdminState, Server, ServerId
from meetingpool.operations.change_server import InvalidServer
from meetingpool.operations.server_lists import read_servers, written_servers

LIST = "servers: {a: {secret: s, %s}}"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("servers: [a]", "The list must hold `servers:`"),
        ("- a", "The list must hold `servers:`"),
        ("", "The list must hold `servers:`"),
        ("servers: {a: {secret: 'canary", "The list of servers is not YAML: "),
        ("servers:\n  a: {secret: s}\n  a: {secret: t}\n", "The list of servers is not YAML: a is there twice in line 3"),
        ("servers: {a/b: {secret: s}}", "Server a/b of the list: A server's id must be made of letters"),
        ("servers: {a: {url: 'https://a'}}", "Server a of the list: it has no secret"),
        ("servers: {a: {secret: 12}}", "Server a of the list: its secret must be text: write it in quotes"),
        ("servers: {a: null}", "Server a of the list: what is known of it must be names and values"),
        (LIST % "load_multiplier: 0", "Server a of the list: The load multiplier must be a number greater than 0"),
        (LIST % "load_multiplier: much", "Server a of the list: its load_multiplier must be a number"),
        (LIST % "load_multiplier: true", "Server a of the list: its load_multiplier must be a number"),
        (LIST % "enabled: 'no'", "Server a of the list: enabled must be true or false"),
        (LIST % "url: 'ftp://a'", "Server a of the list: Server URL must start with http:// or https://"),
        (LIST % "max_users: none at all", "Server a of the list: its max_users must be a whole number from 1, or none"),
        (LIST % "max_users: 0", "Server a of the list: max_users must be a whole number from 1"),
        (LIST % "max_users: true", "Server a of the list: its max_users must be a whole number from 1, or none"),
        (LIST % "max_users: 9, soft_users: 10", "Server a of the list: soft_users must not be above max_users"),
        (LIST % "weight: 2", "Server a of the list: weight cannot be said of it"),
    ],
)
def test_list_that_cannot_be_says_why_without_its_secrets(text: str, sentence: str) -> None:
    with pytest.raises(InvalidServer) as refused:
        read_servers(text)
    assert str(refused.value).startswith(sentence)
    assert "canary" not in str(refused.value)


def test_what_polling_saw_is_not_wished_for() -> None:
    (wanted,) = read_servers(LIST % "load: 3.5, state: cordoned, bbb_version: '3.0', online: true")
    assert sorted(wanted.values) == ["load_multiplier", "secret", "tags", "url"]
    assert wanted.is_enabled


def test_limits_stay_unless_the_list_names_them() -> None:
    server = Server(id=ServerId("a"), url="https://a/bigbluebutton/api/", secret="s", max_users=200, soft_meetings=30)
    wanted = read_servers(LIST % "max_users: none, max_meetings: 40, enabled: false")
    (step,) = planned([server], {}, wanted, Mode.KEEP).steps
    assert (step.before, step.after) == ({"max_users": 200, "max_meetings": None}, {"max_users": None, "max_meetings": 40})


limits = st.none() | st.integers(1, 2**31 - 1)
servers = st.builds(
    Server,
    id=st.from_regex(r"[A-Za-z0-9_.-]{1,20}", fullmatch=True).map(ServerId),
    url=st.integers(1, 10**9).map(lambda number: f"https://h{number}.example.org/bigbluebutton/api/"),
    secret=st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1),
    admin_state=st.sampled_from([AdminState.ENABLED, AdminState.DISABLED]),
    load_multiplier=st.floats(min_value=1e-9, max_value=1000),
    tags=st.frozensets(st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True), max_size=3),
    region=st.none() | st.from_regex(r"[a-z]{1,8}", fullmatch=True),
    max_users=limits,
    soft_meetings=limits,
)


@given(st.lists(servers, max_size=5, unique_by=lambda server: server.id), st.booleans(), st.sampled_from(Mode))
def test_exported_list_describes_exactly_what_there_is(pool: list[Server], verbose: bool, mode: Mode) -> None:
    wanted = read_servers(written_servers(pool, show_secrets=True, verbose=verbose))
    assert planned(pool, {}, wanted, mode).steps == ()


def test_cordoned_server_that_is_not_to_be_enabled_stays_cordoned() -> None:
    server = Server(id=ServerId("a"), url="https://a/", secret="s", admin_state=AdminState.CORDONED)
    wanted = WantedServer(id=server.id, values={"secret": "s"}, is_enabled=False)
    assert planned([server], {}, [wanted], Mode.KEEP).steps == ()
