"""`meetingpool simulate export`"""

from pathlib import Path
from typing import Annotated

import typer

_MOMENT = "A date, which is its midnight in UTC, or a time in ISO 8601."


def export(
    begin: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help=f"{_MOMENT} Default: as far back as meetings are kept.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help=f"{_MOMENT} Default: now.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it. Default: standard output.")
    ] = None,
    anonymous: Annotated[
        bool, typer.Option("--anonymous/--names", help="Give tenants and rooms other names, new ones each time, or their own.")
    ] = True,
) -> None:
    """Write the meetings of a period, as they were, as a trace that can be simulated."""
    from admin.connection import with_database
    from admin.trace_export import export_trace

    with_database(lambda database, _: export_trace(database, begin, end, output, anonymous=anonymous))
