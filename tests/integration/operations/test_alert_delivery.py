"""Alerts on their way: signed, and told at least once under one id; and callbacks that are given up, which are an alert."""

import asyncio
import hashlib
import hmac
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from meetingpool.clock import SystemClock
from meetingpool.database.alerts import announce_alerts
from meetingpool.database.engine import Database
from meetingpool.database.notifications import notify
from meetingpool.database.outbox import NOTIFICATION, Kept, announce, list_kept, retry
from meetingpool.domain.alerts import AlertKind
from meetingpool.domain.announcements import AnnouncementState
from meetingpool.operations.alert_hooks import InvalidHook, NoSuchHook, add_hook, remove_hook, try_hook
from meetingpool.operations.alerts import new_alert
from meetingpool.operations.changes import changing
from meetingpool.operations.deliver_callbacks import Deliverer
from meetingpool.outward.client import Outward
from tests.actors import SOMEBODY
from tests.alerts import SECRET, added_hook, kinds_told, told
from tests.callbacks import LOOPBACK, an_announcement
from tests.integration.simulator.receiving import PATIENCE, Delivered, Receiver
from tests.logs import Event


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver.running() as receiver:
        yield receiver


@asynccontextmanager
async def delivering(database: Database, *, allowed: tuple[str, ...] = LOOPBACK) -> AsyncIterator[None]:
    stop = asyncio.Event()
    async with Outward(allowed=allowed) as outward:
        deliverer = Deliverer(database, outward, ("front-end-secret",), SystemClock(), random.Random(1))
        running = asyncio.create_task(deliverer.run(stop))
        try:
            yield
        finally:
            stop.set()
            await running


async def tell(database: Database, *subjects: str) -> None:
    async with database.transaction() as connection:
        await announce_alerts(connection, [new_alert(AlertKind.SERVER_OFFLINE, subject, {}) for subject in subjects])


async def kept(database: Database) -> list[Kept]:
    async with database.transaction() as connection:
        return await list_kept(connection, None, None)


async def until_states(database: Database, *states: str) -> list[Kept]:
    async with asyncio.timeout(PATIENCE):
        while True:
            rows = await kept(database)
            if [each.state for each in rows] == list(states):
                return rows
            await asyncio.sleep(0.02)


async def make_due(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute("UPDATE outbox SET next_attempt_at = now() WHERE state = 'pending'")
        await notify(connection, NOTIFICATION, [0])


def verified(delivered: Delivered, secret: str = SECRET) -> dict[str, Any]:
    """What was told, once its signature holds."""
    parts = dict(part.split("=") for part in delivered.headers["meetingpool-signature"].split(","))
    expected = hmac.new(secret.encode(), parts["t"].encode() + b"." + delivered.body, hashlib.sha256).hexdigest()
    assert parts["v1"] == expected
    assert abs(int(parts["t"]) - SystemClock().epoch()) < 60
    assert (delivered.method, delivered.headers["content-type"]) == ("POST", "application/json")
    said: dict[str, Any] = json.loads(delivered.body)
    return said


async def test_an_alert_is_signed_and_told(database: Database, receiver: Receiver) -> None:
    await added_hook(database, f"{receiver.origin}/hook?key=k")
    async with delivering(database):
        await tell(database, "s1")
        delivered = await receiver.next()
        said = verified(delivered)
        await until_states(database, "delivered")
    assert (delivered.target, said["kind"], said["subject"], said["detail"]) == ("/hook?key=k", "server.offline", "s1", {})
    assert [said] == await told(database)


async def test_an_alert_is_told_again_under_its_id_until_it_was_taken(database: Database, receiver: Receiver) -> None:
    receiver.answers.extend(["500 Oops", "302 Found\r\nLocation: /other"])
    await added_hook(database, receiver.origin)
    bodies = []
    async with delivering(database):
        await tell(database, "s1")
        for reason in ("status 500", "status 302"):
            bodies.append((await receiver.next()).body)
            async with asyncio.timeout(PATIENCE):
                while reason not in str((await kept(database))[0].last_error):
                    await asyncio.sleep(0.02)
            await make_due(database)
        bodies.append((await receiver.next()).body)
        await until_states(database, "delivered")
    assert bodies[0] == bodies[1] == bodies[2]


async def test_addresses_are_told_separately(database: Database, receiver: Receiver) -> None:
    await added_hook(database, f"{receiver.origin}/a")
    await added_hook(database, f"{receiver.origin}/b", AlertKind.SERVER_OFFLINE)
    await added_hook(database, f"{receiver.origin}/c", AlertKind.CALLBACK_GIVEN_UP)
    async with delivering(database):
        await tell(database, "s1", "s2")
        came = [await receiver.next() for _ in range(4)]
        await until_states(database, *["delivered"] * 4)
    assert sorted((each.target, verified(each)["subject"]) for each in came) == [
        ("/a", "s1"),
        ("/a", "s2"),
        ("/b", "s1"),
        ("/b", "s2"),
    ]


async def test_an_address_inside_the_network_is_not_called_unless_allowed(database: Database, receiver: Receiver) -> None:
    await added_hook(database, receiver.origin)
    async with delivering(database, allowed=()):
        await tell(database, "s1")
        (row,) = await until_states(database, "given_up")
    assert receiver.is_idle
    assert "private or reserved network" in str(row.last_error)
    # That it could not be told is nothing to be told of.
    assert await kinds_told(database) == [("server.offline", "s1")]


async def test_what_is_on_its_way_to_an_address_that_was_removed_is_given_up(database: Database, receiver: Receiver) -> None:
    hook = await added_hook(database, receiver.origin)
    await tell(database, "s1")
    async with changing(database, SOMEBODY) as change:
        await remove_hook(change, hook.id)
    async with delivering(database):
        (row,) = await until_states(database, "given_up")
    assert (row.last_error, receiver.is_idle) == ("there is no such address any more", True)


async def test_an_alert_is_no_callback_of_a_tenant(database: Database) -> None:
    await added_hook(database)
    await tell(database, "s1")
    (row,) = await kept(database)
    assert (row.tenant, row.meeting_id, row.kind) == ("", "", "alert")
    async with database.transaction() as connection:
        assert await list_kept(connection, None, "default") == []
        await connection.execute("UPDATE outbox SET state = 'given_up'")
        assert await retry(connection, [row.id]) == [row.id]


async def test_callbacks_that_are_given_up_are_told_once_of_each_tenant(database: Database, logged: list[Event]) -> None:
    await added_hook(database)
    async with database.transaction() as connection:
        for number in range(3):
            await announce(connection, an_announcement(f"http://10.0.0.{number}/ended?token=canary", number=number))
    async with delivering(database, allowed=()):
        await until_states(database, *["given_up"] * 3, "pending")
        (alert,) = await told(database)
        assert alert["detail"].pop("callback") in {1, 2, 3}
        assert alert["detail"].pop("host") in {"10.0.0.0", "10.0.0.1", "10.0.0.2"}
        assert (alert["kind"], alert["subject"], alert["detail"]["kind"]) == ("callback.given_up", "default", "meeting-ended")
        assert "canary" not in json.dumps(alert)
        async with database.transaction() as connection:
            await connection.execute("UPDATE alerts SET over_since = over_since - interval '61 minutes'")
            await announce(connection, an_announcement("http://10.0.0.9/", number=9))
        await until_states(database, *["given_up"] * 3, "pending", "given_up", "pending")
    assert await kinds_told(database) == [("callback.given_up", "default")] * 2


async def test_a_test_is_sent_at_once_and_says_what_came_back(database: Database, receiver: Receiver) -> None:
    hook = await added_hook(database, f"{receiver.origin}/hook", AlertKind.POOL_UNAVAILABLE)
    receiver.answers.append("503 Later")
    async with Outward(allowed=LOOPBACK) as outward:
        failed = await try_hook(database, SOMEBODY, outward, SystemClock(), hook.id)
        taken = await try_hook(database, SOMEBODY, outward, SystemClock(), hook.id)
        with pytest.raises(NoSuchHook, match="No address has the id: other"):
            await try_hook(database, SOMEBODY, outward, SystemClock(), "other")
    assert (failed.state, failed.reason) == (AnnouncementState.PENDING, "the address answered with status 503")
    assert (taken.state, taken.reason) == (AnnouncementState.DELIVERED, "the address answered with status 200")
    said = [verified(await receiver.next()) for _ in range(2)]
    assert {(each["kind"], each["subject"], each["detail"]["sent_by"]) for each in said} == {("test", hook.id, SOMEBODY.name)}
    assert await kept(database) == []
    async with database.transaction() as connection:
        rows = await connection.fetch("SELECT action, after FROM audit ORDER BY id")
    assert [(row["action"], row["after"].get("outcome")) for row in rows] == [
        ("alerts.add", None),
        ("alerts.test", "failed"),
        ("alerts.test", "delivered"),
    ]
    assert SECRET not in str(rows)


@pytest.mark.parametrize(
    ("url", "secret", "kinds", "sentence"),
    [
        ("ftp://alerts.example/", None, (), "only URLs with http or https are called"),
        ("http://u:p@alerts.example/", None, (), "user name or password"),
        ("http://10.1.2.3/", None, (), "MEETINGPOOL_CALLBACK_ALLOW allows it"),
        ("https://alerts.example/", "short", (), "at least 16 characters"),
        ("https://alerts.example/", None, (AlertKind.TEST,), "Leave the kind test out"),
    ],
)
async def test_what_cannot_be_used_is_refused(
    database: Database, url: str, secret: str | None, kinds: tuple[AlertKind, ...], sentence: str
) -> None:
    with pytest.raises(InvalidHook, match=sentence):
        async with changing(database, SOMEBODY) as change:
            await add_hook(change, url, secret=secret, kinds=kinds, allowed=LOOPBACK)
