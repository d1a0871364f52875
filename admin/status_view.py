"""The calm view of `meetingpool demo`: the status table on a terminal, else a line every few seconds."""

import asyncio
import sys
from contextlib import suppress

from admin.commands.arguments import Format
from admin.output import show
from admin.servers import status, summary_of
from meetingpool.database.engine import Database, DatabaseUnavailable
from meetingpool.database.servers import all_servers

REDRAW_EVERY = 2.0
LINE_EVERY = 5.0


async def keep_showing(database: Database, stop: asyncio.Event) -> None:
    """Until `stop` is set."""
    showing = asyncio.create_task(_show_table(database) if sys.stdout.isatty() else _print_lines(database))
    try:
        await stop.wait()
    finally:
        showing.cancel()
        with suppress(asyncio.CancelledError):
            await showing


async def _show_table(database: Database) -> None:
    await show(lambda: status(database), Format.TABLE, REDRAW_EVERY)


async def _print_lines(database: Database) -> None:
    while True:
        with suppress(DatabaseUnavailable):
            async with database.transaction() as connection:
                print(summary_of(await all_servers(connection)), flush=True)
        await asyncio.sleep(LINE_EVERY)
