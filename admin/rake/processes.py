"""The tasks that run until they are stopped: `poll` and `recordings:watch`."""

import os

from admin.up import run_poller, run_recordings


def poll(arguments: dict[str, str]) -> None:
    """Watches the servers; the interval is that of the settings unless it is given."""
    _set("MEETINGPOOL_POLL_INTERVAL", arguments.get("interval"))
    run_poller()


def watch_recordings(arguments: dict[str, str]) -> None:
    """Imports recordings; the time between two looks is that of the settings unless it is given."""
    _set("MEETINGPOOL_RECORDING_IMPORT_POLL_INTERVAL", arguments.get("latency"))
    run_recordings()


def _set(variable: str, value: str | None) -> None:
    if value:
        os.environ[variable] = value
