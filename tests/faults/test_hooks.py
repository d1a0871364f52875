"""Webhooks when something is away: front ends that fail, for a moment or for days, a database that does, and floods."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from meetingpool.database.hook_events import MAX_WAITING
from meetingpool.database.outbox import retry
from meetingpool.domain.announcements import EVENT_IS_TRIED_FOR, EVENT_PAUSES
from meetingpool.domain.callbacks import CallbackKind
from tests.callbacks import CallbackPool, SlowFrontEnd, callback_pool, delivering
from tests.faults.test_callbacks import closed_to_all, until_it_is_back
from tests.hooks import Told, an_event, bring, register
from tests.integration.simulator.receiving import PATIENCE, Receiver, eventually
from tests.logs import Event, names_of

OOPS = "500 Oops"


@pytest.fixture
async def callbacks(database_url: str) -> AsyncIterator[CallbackPool]:
    """With a meeting of the front end on its one server."""
    async with callback_pool(database_url) as callbacks:
        await callbacks.front_end.create("room")
        yield callbacks


async def hook_at(callbacks: CallbackPool, url: str) -> str:
    answer = await callbacks.front_end.ask("hooks/create", callbackURL=url)
    return answer.findtext("hookID") or ""


async def happen(callbacks: CallbackPool, *event_ids: str) -> None:
    (server,) = callbacks.servers
    for event_id in event_ids:
        assert (await bring(callbacks, server, an_event("room", event_id))).status_code == 200


async def states_of(callbacks: CallbackPool, host: str) -> Counter[str]:
    return Counter(kept.state for kept in await callbacks.kept() if kept.host == host)


async def hooks(callbacks: CallbackPool) -> int:
    return len((await callbacks.front_end.ask("hooks/list")).findall("hooks/hook"))


async def seconds_until(callbacks: CallbackPool) -> float:
    """Until the only event that waits is tried again."""
    async with callbacks.pool.database.transaction() as connection:
        seconds: float = await connection.fetchval(
            "SELECT extract(epoch FROM next_attempt_at - now())::float8 FROM outbox WHERE state = 'pending'"
        )
        return seconds


async def until_removed(callbacks: CallbackPool) -> None:
    async with asyncio.timeout(PATIENCE):
        while await hooks(callbacks):
            await asyncio.sleep(0.02)


async def test_an_event_that_comes_while_the_database_is_away_is_brought_again(
    callbacks: CallbackPool, database_url: str
) -> None:
    (server,) = callbacks.servers
    server.retry_factor = 0.1
    await hook_at(callbacks, callbacks.receiver.origin)
    await register(callbacks)
    async with closed_to_all(database_url):
        server.add_person(server.meetings["room"], "Ada")
        await eventually(lambda: server.outward_counts["webhook_attempted"] >= 2)
        assert "webhook_delivered" not in server.outward_counts
        assert (await bring(callbacks, server, an_event("room"))).status_code == 503
    await until_it_is_back(callbacks)
    async with delivering(callbacks.pool):
        assert Told(await callbacks.receiver.next()).id == "user-joined"
        await callbacks.until_states("delivered")
    assert callbacks.receiver.is_idle
    assert server.outward_counts["webhook_delivered"] == 1


async def test_events_reach_a_front_end_in_their_order_though_it_fails_now_and_then(callbacks: CallbackPool) -> None:
    callbacks.receiver.answers.extend([OOPS, "200 OK", "302 Found\r\nLocation: /elsewhere"])
    await hook_at(callbacks, callbacks.receiver.origin)
    await happen(callbacks, "one", "two", "three")
    async with delivering(callbacks.pool):
        heard = [Told(await callbacks.receiver.next()).id for _ in range(5)]
        await callbacks.until_states(*["delivered"] * 3)
    assert heard == ["one", "one", "two", "two", "three"]


async def test_one_event_at_a_time_is_under_way_to_a_hook_whoever_delivers(callbacks: CallbackPool) -> None:
    async with SlowFrontEnd.running() as slow:
        await hook_at(callbacks, slow.origin)
        await happen(callbacks, "one", "two", "three")
        async with delivering(callbacks.pool), delivering(callbacks.pool):
            await eventually(lambda: slow.came == 1)
            await asyncio.sleep(0.3)
            assert slow.came == 1
            slow.answers.set()
            await callbacks.until_states(*["delivered"] * 3)
            assert slow.came == 3


async def test_a_hook_that_fails_delays_no_other(callbacks: CallbackPool) -> None:
    async with Receiver.running() as failing:
        failing.answers.extend([OOPS] * 100)
        await hook_at(callbacks, failing.origin)
        await hook_at(callbacks, callbacks.receiver.origin)
        await happen(callbacks, "one", "two", "three")
        async with delivering(callbacks.pool):
            assert [Told(await callbacks.receiver.next()).id for _ in range(3)] == ["one", "two", "three"]
            assert Told(await failing.next()).id == "one"
    assert await states_of(callbacks, urlsplit(failing.origin).netloc) == {"pending": 3}


async def test_a_front_end_that_wants_no_such_event_has_had_it(callbacks: CallbackPool) -> None:
    callbacks.receiver.answers.append("401 Unauthorized")
    await hook_at(callbacks, callbacks.receiver.origin)
    await happen(callbacks, "one")
    async with delivering(callbacks.pool):
        await callbacks.until_states("delivered")


async def test_an_event_that_fails_for_an_hour_is_given_up_and_the_next_waits(callbacks: CallbackPool) -> None:
    callbacks.receiver.answers.extend([OOPS] * 2)
    await hook_at(callbacks, callbacks.receiver.origin)
    await happen(callbacks, "one", "two")
    await callbacks.execute("UPDATE outbox SET created_at = now() - make_interval(secs => $1)", EVENT_IS_TRIED_FOR)
    async with delivering(callbacks.pool):
        assert Told(await callbacks.receiver.next()).id == "one"
        await callbacks.until_states("given_up", "pending")
        assert EVENT_PAUSES[-1] - 10 < await seconds_until(callbacks) <= EVENT_PAUSES[-1]
        assert callbacks.receiver.is_idle
        await callbacks.make_due()
        await callbacks.until_states("given_up", "given_up")
    # A day has not passed.
    assert await hooks(callbacks) == 1


async def test_the_pauses_grow_while_an_event_fails(callbacks: CallbackPool) -> None:
    await hook_at(callbacks, callbacks.receiver.origin)
    await happen(callbacks, "one")
    # Nobody is to send it before its attempts are what they are to be.
    await callbacks.execute("UPDATE outbox SET next_attempt_at = now() + interval '1 hour'")
    async with delivering(callbacks.pool):
        for number, pause in enumerate((*EVENT_PAUSES[3:], EVENT_PAUSES[-1]), start=3):
            callbacks.receiver.answers.append(OOPS)
            await callbacks.execute("UPDATE outbox SET attempts = $1, last_error = NULL", number)
            await callbacks.make_due()
            await callbacks.receiver.next()
            await callbacks.last_error()
            assert pause - 5 < await seconds_until(callbacks) <= pause * 1.2


async def test_a_hook_that_heard_nothing_for_a_day_is_removed(callbacks: CallbackPool, logged: list[Event]) -> None:
    callbacks.receiver.answers.extend([OOPS] * 2)
    await hook_at(callbacks, f"{callbacks.receiver.origin}/?token=canary")
    await happen(callbacks, "one", "two")
    await callbacks.execute("UPDATE outbox SET created_at = now() - interval '2 hours'")
    async with delivering(callbacks.pool):
        await callbacks.until_states("given_up", "pending")
        await callbacks.execute("UPDATE hooks SET failing_since = failing_since - interval '25 hours'")
        await callbacks.make_due()
        await until_removed(callbacks)
    assert [kept.state for kept in await callbacks.kept()] == ["given_up"]
    assert "hook_removed" in names_of(logged)
    assert "canary" not in str(logged)


async def test_a_hook_that_hears_one_event_a_day_is_not_removed_by_one_failure(callbacks: CallbackPool) -> None:
    callbacks.receiver.answers.append(OOPS)
    await hook_at(callbacks, callbacks.receiver.origin)
    await callbacks.execute("UPDATE hooks SET failing_since = now() - interval '3 days'")
    await happen(callbacks, "one")
    async with delivering(callbacks.pool):
        await callbacks.until_states("delivered")
    assert await hooks(callbacks) == 1
    async with callbacks.pool.database.transaction() as connection:
        assert await connection.fetchval("SELECT failing_since FROM hooks") is None


async def test_events_that_wait_for_a_hook_go_with_it(callbacks: CallbackPool) -> None:
    hook_id = await hook_at(callbacks, callbacks.receiver.origin)
    await happen(callbacks, "one", "two")
    await callbacks.front_end.ask("hooks/destroy", hookID=hook_id)
    assert await callbacks.kept() == []
    await happen(callbacks, "three")
    async with delivering(callbacks.pool):
        await asyncio.sleep(0.2)
    assert callbacks.receiver.is_idle


async def test_no_event_is_left_behind_when_hooks_come_and_go_while_they_come(callbacks: CallbackPool) -> None:
    (server,) = callbacks.servers

    async def come_and_go(number: int) -> None:
        for _ in range(5):
            hook_id = await hook_at(callbacks, f"{callbacks.receiver.origin}/{number}")
            await callbacks.front_end.ask("hooks/destroy", hookID=hook_id)

    async def keep_coming(first: int) -> None:
        for number in range(first, first + 15):
            answer = await bring(callbacks, server, an_event("room", ts=number))
            assert answer.status_code == 200

    await asyncio.gather(*(come_and_go(number) for number in range(3)), *(keep_coming(first) for first in (0, 100, 200)))
    assert await callbacks.kept() == []


async def fill(callbacks: CallbackPool, hook_id: str, number: int) -> None:
    """So many events wait for a hook."""
    await callbacks.execute(
        "INSERT INTO outbox (tenant, meeting_id, kind, url, payload, announcement, hook_id)"
        " SELECT 'default', 'room', 'hook-event', $1, $2::jsonb, 'old ' || n || $3::text, $3::text"
        " FROM generate_series(1, $4::int) AS n",
        callbacks.receiver.origin,
        {"domain": "d", "event": "{}", "timestamp": "1"},
        hook_id,
        number,
    )


async def waiting(callbacks: CallbackPool) -> list[int]:
    return [kept.id for kept in await callbacks.kept() if kept.state == "pending"]


async def test_a_flood_takes_the_place_of_the_oldest_events_and_is_told_of_once(
    callbacks: CallbackPool, logged: list[Event]
) -> None:
    hook_id = await hook_at(callbacks, callbacks.receiver.origin)
    await fill(callbacks, hook_id, MAX_WAITING - 1)
    before = await waiting(callbacks)
    await happen(callbacks, "fits")
    assert (await waiting(callbacks))[:-1] == before
    await happen(callbacks, "too much", "and more")
    assert len(await waiting(callbacks)) == MAX_WAITING
    assert (await waiting(callbacks))[:-3] == before[2:]
    await callbacks.execute("DELETE FROM outbox WHERE state = 'pending'")
    await happen(callbacks, "over")
    assert names_of(logged).count("hook_overflows") == 1
    assert [event["events_given_up"] for event in logged if event["event"] == "hook_overflowed"] == [2]


async def test_other_callbacks_do_not_wait_behind_a_flood_of_events(callbacks: CallbackPool) -> None:
    for number in range(20):
        await fill(callbacks, await hook_at(callbacks, f"{callbacks.receiver.origin}/events/{number}"), 3)
    await callbacks.execute("UPDATE outbox SET next_attempt_at = now() - interval '1 hour'")
    await callbacks.announce(f"{callbacks.receiver.origin}/ended")
    async with delivering(callbacks.pool):
        first = [(await callbacks.receiver.next()).target.split("?")[0] for _ in range(3)]
    assert "/ended" in first


async def test_events_that_were_told_are_forgotten_before_other_callbacks(callbacks: CallbackPool) -> None:
    await hook_at(callbacks, callbacks.receiver.origin)
    await happen(callbacks, "one")
    await callbacks.announce(callbacks.receiver.origin)
    async with delivering(callbacks.pool):
        await callbacks.until_states("delivered", "delivered")
    await callbacks.execute("UPDATE outbox SET settled_at = settled_at - interval '2 hours'")
    async with delivering(callbacks.pool):
        async with asyncio.timeout(PATIENCE):
            while len(await callbacks.kept()) > 1:
                await asyncio.sleep(0.02)
    assert [kept.kind for kept in await callbacks.kept()] == [CallbackKind.MEETING_ENDED]


async def test_an_event_of_a_hook_that_is_gone_is_not_tried_again(callbacks: CallbackPool) -> None:
    hook_id = await hook_at(callbacks, callbacks.receiver.origin)
    await happen(callbacks, "one")
    await callbacks.execute("UPDATE outbox SET state = 'given_up', settled_at = now()")
    (kept,) = await callbacks.kept()
    await callbacks.front_end.ask("hooks/destroy", hookID=hook_id)
    async with callbacks.pool.database.transaction() as connection:
        assert await retry(connection, [kept.id]) == []
