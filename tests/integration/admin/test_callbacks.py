"""`meetingpool callbacks …`"""

import json

import pytest

from meetingpool.database import outbox
from meetingpool.database.engine import Database
from meetingpool.database.tenants import insert_tenant
from meetingpool.domain.announcements import Announcement
from meetingpool.domain.callbacks import CallbackKind
from meetingpool.domain.tenants import Tenant
from tests.integration.admin.conftest import CommandLine, Listed

NAMES = ["id", "tenant", "meeting", "kind", "host", "state", "attempts", "next_attempt", "last_error"]


@pytest.fixture
async def kept(database: Database) -> None:
    """One callback in each state, and one that is under way; the second of a tenant."""
    async with database.transaction() as connection:
        await insert_tenant(connection, Tenant(id="t-1", name="school", secrets=("s",)))
        for number, tenant in enumerate(("default", "t-1", "default", "default", "default"), 1):
            announcement = Announcement(
                kind=CallbackKind.RECORDING_READY,
                tenant=tenant,
                meeting_id=f"room-{number}",
                url=f"https://lms.example:8443/ready?token=canary-{number}",
                payload={"record_id": "r"},
                subject=(str(number),),
            )
            await outbox.announce(connection, announcement)
        for change in (
            "UPDATE outbox SET state = 'delivered', attempts = 1, settled_at = now() WHERE id = 1",
            "UPDATE outbox SET state = 'given_up', attempts = 31, settled_at = now(), last_error = 'no connection' WHERE id = 2",
            "UPDATE outbox SET state = 'refused', attempts = 1, settled_at = now(), last_error = 'status 410' WHERE id = 3",
            "UPDATE outbox SET attempts = 7, next_attempt_at = now() + interval '1 hour' WHERE id = 4",
            "UPDATE outbox SET attempts = 1, next_attempt_at = now() + interval '50 s' WHERE id = 5",
        ):
            await connection.execute(change)


async def states(database: Database) -> dict[int, tuple[str, int]]:
    async with database.transaction() as connection:
        return {row.id: (row.state, row.attempts) for row in await outbox.list_kept(connection, None, None)}


@pytest.mark.usefixtures("kept")
async def test_list_tells_what_is_kept_and_no_secret_of_an_address(meetingpool: CommandLine, listed: Listed) -> None:
    callbacks = await listed("callbacks", "list")
    assert list(callbacks[0]) == NAMES
    assert [(row["meeting"], row["state"], row["attempts"]) for row in callbacks] == [
        ("room-1", "delivered", 1),
        ("room-2", "given_up", 31),
        ("room-3", "refused", 1),
        ("room-4", "pending", 7),
        ("room-5", "pending", 1),
    ]
    assert callbacks[1] | {"id": 2} == {
        "id": 2,
        "tenant": "school",
        "meeting": "room-2",
        "kind": "recording-ready",
        "host": "lms.example:8443",
        "state": "given_up",
        "attempts": 31,
        "next_attempt": None,
        "last_error": "no connection",
    }
    assert callbacks[3]["next_attempt"].endswith("Z")
    for style in ("table", "json", "yaml", "csv"):
        assert "canary" not in (await meetingpool("callbacks", "list", "--format", style)).output


@pytest.mark.usefixtures("kept")
async def test_list_shows_whole_addresses_only_when_asked(meetingpool: CommandLine) -> None:
    shown = await meetingpool("callbacks", "list", "--show-urls", "--format", "json")
    assert json.loads(shown.stdout)[0]["url"] == "https://lms.example:8443/ready?token=canary-1"


@pytest.mark.usefixtures("kept")
async def test_list_is_narrowed_by_state_and_tenant(listed: Listed) -> None:
    assert [row["meeting"] for row in await listed("callbacks", "list", "--state", "pending")] == ["room-4", "room-5"]
    for name in ("school", "t-1"):
        assert [row["meeting"] for row in await listed("callbacks", "list", "--tenant", name)] == ["room-2"]
    assert await listed("callbacks", "list", "--tenant", "nobody") == []


async def test_an_empty_list_says_so(meetingpool: CommandLine) -> None:
    assert (await meetingpool("callbacks", "list")).stdout == "No callbacks are kept\n"
    assert (await meetingpool("callbacks", "retry", "--all")).stdout == "No callback waits or was given up\n"
    await meetingpool("callbacks", "list", "--state", "lost", exit_code=2)


@pytest.mark.usefixtures("kept")
async def test_retry_gives_a_callback_another_day(meetingpool: CommandLine, database: Database) -> None:
    told = await meetingpool("callbacks", "retry", "2", "3")
    assert told.stdout.splitlines() == [
        "Callback 2 (recording-ready, to lms.example:8443) is tried now",
        "Callback 3 (recording-ready, to lms.example:8443) is tried now",
    ]
    after = await states(database)
    assert (after[2], after[3], after[4]) == (("pending", 0), ("pending", 0), ("pending", 7))


@pytest.mark.usefixtures("kept")
async def test_retry_of_all_leaves_what_is_over_and_what_is_under_way(meetingpool: CommandLine, database: Database) -> None:
    told = await meetingpool("callbacks", "retry", "--all")
    assert [line.rpartition(" is tried ")[2] for line in told.stdout.splitlines()] == ["now", "now", "within a minute anyway"]
    assert await states(database) == {
        1: ("delivered", 1),
        2: ("pending", 0),
        3: ("refused", 1),
        4: ("pending", 0),
        5: ("pending", 1),
    }


@pytest.mark.usefixtures("kept")
async def test_retry_on_trial_changes_nothing(meetingpool: CommandLine, database: Database) -> None:
    before = await states(database)
    told = await meetingpool("callbacks", "retry", "--all", "--dry-run")
    assert told.stdout.startswith("Dry run, nothing is changed: Callback 2 ")
    assert await states(database) == before


@pytest.mark.usefixtures("kept")
async def test_retry_refuses_what_is_not_there_or_was_delivered(meetingpool: CommandLine, database: Database) -> None:
    before = await states(database)
    told = await meetingpool("callbacks", "retry", "2", "99", exit_code=1)
    assert told.stderr == "No callback found with id: 99; `meetingpool callbacks list` shows them all\n"
    told = await meetingpool("callbacks", "retry", "2", "1", exit_code=1)
    assert told.stderr == "Callback 1 was delivered: leave it out, a front end is told once\n"
    assert await states(database) == before
    for wrong in (("retry",), ("retry", "1", "--all"), ("retry", "0"), ("retry", "9" * 30), ("retry", "x")):
        await meetingpool("callbacks", *wrong, exit_code=2)
