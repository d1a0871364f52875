"""`meetingpool poll …`"""

import typer

from admin.commands import processes
from admin.commands.arguments import Format, OptionalServerNames, Style

app = typer.Typer(name="poll", help="Ask the servers how they are.", no_args_is_help=True)
app.command("run", help="Watch the servers until stopped; the same as `meetingpool poller`.")(processes.poller)


@app.command("once")
def once(names: OptionalServerNames = None, style: Style = Format.TABLE) -> None:
    """Poll servers now, all of them by default, and say what was seen."""
    from admin.connection import with_database
    from admin.poll import poll_once

    with_database(lambda database, settings: poll_once(database, settings, names or [], style))
