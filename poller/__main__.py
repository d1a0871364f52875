"""The poller process: `python -m poller`. Started by `meetingpool poller`, `meetingpool poll run` and `meetingpool up`."""

import asyncio
import random
import signal
import sys

import uvloop

from meetingpool.clock import SystemClock
from meetingpool.database.engine import Database, DatabaseUnavailable
from meetingpool.database.revision import WrongRevision, require_database
from meetingpool.logs import configure_logs
from meetingpool.metrics_counts import Counts
from meetingpool.operations.poll_rules import poll_rules
from meetingpool.secret_keys import keyring_of
from meetingpool.settings import Settings, SettingsError, read_settings
from poller.delivery import keep_delivering
from poller.history import HistorySettings
from poller.leadership import Leadership
from poller.watch import WatchSettings


def main() -> int:
    try:
        settings = read_settings()
        configure_logs(process="poller", log_format=settings.log_format, level=settings.log_level)
        uvloop.run(run(settings))
    except (SettingsError, DatabaseUnavailable, WrongRevision) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def run(settings: Settings) -> None:
    """Polls and delivers callbacks until told to stop. Raises DatabaseUnavailable or WrongRevision at the start only."""
    keyring = keyring_of(settings)
    await require_database(settings.database_url, keyring)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    database = Database(str(settings.database_url), name="poller", pool_size=3, keyring=keyring)
    counts = Counts.of_process(settings.data_dir, "poller")
    leadership = Leadership(database, watch_settings(settings, counts), SystemClock(), random.Random())  # noqa: S311
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(leadership.run(stop))
            tasks.create_task(keep_delivering(settings, stop))
    finally:
        await database.close()


def watch_settings(settings: Settings, counts: Counts) -> WatchSettings:
    return WatchSettings(
        interval=settings.poll_interval,
        connect_timeout=settings.connect_timeout,
        response_timeout=settings.response_timeout,
        rules=poll_rules(settings),
        base_url=settings.base_url,
        counts=counts,
        registration_lifetime=settings.registration_lifetime,
        history=HistorySettings(
            every=min(60.0, settings.server_history_interval),
            sample_every=settings.server_history_interval,
            sample_days=settings.server_history_days,
            usage_days=settings.usage_days,
            meeting_days=settings.meeting_history_days,
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
