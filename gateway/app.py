"""The only wiring of the gateway: settings in, ASGI application out."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypedDict

from starlette.applications import Starlette

from gateway.authentication import Keys
from gateway.dial_in import DialIn
from gateway.failed_checksums import FailedChecksums
from gateway.learning_records import TOKEN_TIMEOUT, LearningRecords
from gateway.management_api.admission import Admission
from gateway.meeting_lists import MeetingLists
from gateway.metrics_requests import RequestCounts
from gateway.playback_files import PlaybackFiles
from gateway.playback_links import PlaybackLinks
from gateway.playback_passes import PlaybackPasses
from gateway.playback_threads import StorageThreads
from gateway.pool_view import PoolView
from gateway.recording_uploads import Uploads
from gateway.regions import Regions
from gateway.routes import routes
from gateway.shared_reads import SharedReads
from gateway.state import Gateway, Readiness
from gateway.tenant_shares import TenantShares
from gateway.tenants import Tenants
from meetingpool.bbb.checksum import Algorithm
from meetingpool.bbb.client import Client
from meetingpool.clock import Clock, SystemClock
from meetingpool.country_files import country_file
from meetingpool.database.engine import Database
from meetingpool.database.installation import callback_key
from meetingpool.database.revision import require_revision
from meetingpool.domain.parameters import CallRules, Operator, Rule
from meetingpool.domain.pool import Pool
from meetingpool.logs import get_logger
from meetingpool.metrics import PLACEMENT_SECONDS
from meetingpool.metrics_counts import Counts
from meetingpool.operations.announce_hook_events import HookAnnouncer
from meetingpool.operations.default_limits import default_limits
from meetingpool.operations.news import News
from meetingpool.operations.place_meeting import MeetingPlacer
from meetingpool.operations.poll_rules import prior_of
from meetingpool.outward.client import Outward
from meetingpool.outward.targets import AllowList
from meetingpool.secret_keys import keyring_of
from meetingpool.settings import Settings

LOAD_TIMEOUT = 30.0

log = get_logger()


class State(TypedDict):
    gateway: Gateway


def create_app(settings: Settings, readiness: Readiness, clock: Clock | None = None, counts: Counts | None = None) -> Starlette:
    """The gateway on the database that `settings` names. `readiness` is how the process tells that it drains.

    `counts`: where it counts; without, for itself.
    """

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[State]:
        async with open_gateway(settings, readiness, clock or SystemClock(), counts) as gateway:
            yield {"gateway": gateway}

    app = Starlette(routes=routes, lifespan=lifespan)
    # A slash more is another path. To redirect would be wrong for the API, and fails over queries that are not UTF-8.
    app.router.redirect_slashes = False
    return app


@asynccontextmanager
async def open_gateway(
    settings: Settings, readiness: Readiness, clock: Clock, counts: Counts | None = None
) -> AsyncIterator[Gateway]:
    """Everything that handlers need, the pool loaded. Raises WrongRevision, DatabaseUnavailable or CountryFileUnusable."""
    if settings.database_url is None:
        raise ValueError("the gateway needs a database URL")
    counts = counts or Counts.alone()
    pool, tenants = Pool(limits=default_limits(settings)), Tenants(settings)
    regions = Regions(settings, pool, country_file(settings))
    database = Database(settings.database_url, name="gateway", pool_size=10, keyring=keyring_of(settings))
    beside = Database(settings.database_url, name="gateway management", pool_size=3, keyring=keyring_of(settings))
    view = PoolView(database, pool, tenants, clock)
    files = PlaybackFiles(StorageThreads())
    uploads = Uploads(settings.spool_dirs[0].absolute(), max_bytes=settings.recording_max_bytes)
    try:
        await require_revision(database)
        async with (
            Client(connect_timeout=settings.connect_timeout, counts=counts) as client,
            Outward(total_timeout=TOKEN_TIMEOUT) as outward,
        ):
            news, key = News(database), await _callback_key(database)
            placer = _placer(settings, database, client, pool, clock, news, key, counts)
            async with _at_work(view.run(), news.run(), regions.follow_file()):
                await asyncio.wait_for(view.loaded.wait(), LOAD_TIMEOUT)
                yield Gateway(
                    settings=settings,
                    tenants=tenants,
                    keys=Keys(tenants=tenants, algorithms=frozenset(map(Algorithm, settings.loadbalancer_checksum_algorithm))),
                    rules=call_rules(settings),
                    clock=clock,
                    database=database,
                    client=client,
                    view=view,
                    placer=placer,
                    lists=MeetingLists(client, clock),
                    dial_in=DialIn(pool, settings),
                    learning_records=LearningRecords(outward, clock),
                    regions=regions,
                    failed_checksums=FailedChecksums(per_minute=settings.failed_checksums_per_minute),
                    hook_announcer=HookAnnouncer(database, pool),
                    links=PlaybackLinks(key, clock),
                    passes=PlaybackPasses(key, clock, settings.protected_recordings_timeout * 60),
                    files=files,
                    recording_uploads=uploads,
                    tenant_shares=TenantShares(max(1, settings.max_requests // 2)),
                    playback_places=TenantShares(max(1, settings.max_requests // 8)),
                    admission=Admission(
                        settings.management_networks, wrong_tokens_per_minute=settings.failed_checksums_per_minute
                    ),
                    management_database=beside,
                    readiness=readiness,
                    counts=counts,
                    requests=RequestCounts(counts),
                    reads=SharedReads(settings.freshness),
                )
    finally:
        files.close()
        uploads.close()
        await beside.close()
        await database.close()


@asynccontextmanager
async def _at_work(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs `works` beside the block; when one of them breaks, the process stops."""
    tasks = [asyncio.create_task(work) for work in works]
    for task in tasks:
        task.add_done_callback(_stop_if_broken)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _placer(
    settings: Settings, database: Database, client: Client, pool: Pool, clock: Clock, news: News, key: bytes, counts: Counts
) -> MeetingPlacer:
    return MeetingPlacer(
        database=database,
        client=client,
        pool=pool,
        clock=clock,
        response_timeout=settings.response_timeout,
        prior=prior_of(settings),
        callback_key=key,
        callback_allow=AllowList.read(settings.callback_allow),
        voice_bridge_length=settings.voice_bridge_len,
        news=news,
        seconds=counts.histogram(PLACEMENT_SECONDS),
    )


async def _callback_key(database: Database) -> bytes:
    async with database.transaction() as connection:
        return await callback_key(connection)


def call_rules(settings: Settings) -> CallRules:
    """What the settings ask of the parameters of create and join."""
    limit = settings.max_meeting_duration
    return CallRules(
        create=(
            *settings.create_exclude_params,
            *settings.default_create_params,
            *([Rule(Operator.CAP, "duration", str(limit))] if limit else []),
            *settings.override_create_params,
        ),
        join=(*settings.join_exclude_params, *settings.default_join_params, *settings.override_join_params),
    )


def _stop_if_broken(following: "asyncio.Task[None]") -> None:
    """A process whose picture of the pool no longer follows must not go on serving: it stops, to be started again."""
    if not following.cancelled() and (error := following.exception()):
        log.critical("pool_view_broke", exc_info=error)
        os.kill(os.getpid(), signal.SIGTERM)
