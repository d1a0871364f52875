"""Delivers callbacks beside the polls, whoever leads. Started by `python -m poller`.

The two share a process and nothing else: whatever is wrong with one does not stop the other.
"""

import asyncio
import random
from contextlib import suppress

from meetingpool.bbb.checksum import Algorithm
from meetingpool.clock import SystemClock
from meetingpool.database.engine import Database
from meetingpool.logs import get_logger
from meetingpool.operations.deliver_callbacks import Deliverer
from meetingpool.outward.client import Outward
from meetingpool.secret_keys import keyring_of
from meetingpool.settings import Settings

# Connections of its own, so that a renewal of the lease waits for no callback.
POOL_SIZE = 3
BEGIN_AGAIN_AFTER = 5.0

log = get_logger()


async def keep_delivering(settings: Settings, stop: asyncio.Event) -> None:
    """Until `stop` is set."""
    while not stop.is_set():
        try:
            await _deliver(settings, stop)
        except Exception:  # the outermost loop of a daemon
            log.exception("delivery_broke")
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), BEGIN_AGAIN_AFTER)


async def _deliver(settings: Settings, stop: asyncio.Event) -> None:
    database = Database(str(settings.database_url), name="callbacks", pool_size=POOL_SIZE, keyring=keyring_of(settings))
    try:
        async with Outward(allowed=settings.callback_allow) as outward:
            deliverer = Deliverer(
                database,
                outward,
                settings.secrets,
                SystemClock(),
                random.Random(),  # noqa: S311
                hook_algorithm=Algorithm(settings.hook_checksum_algorithm),
                audit_days=settings.audit_days,
            )
            await deliverer.run(stop)
    finally:
        await database.close()
