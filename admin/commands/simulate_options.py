"""The options that several commands of `meetingpool simulate` have."""

from typing import Annotated

import typer


def complete_policies(incomplete: str) -> list[str]:
    """The names for the shell."""
    from admin.simulation.policies.names import NAMES

    return [name for name in NAMES if name.startswith(incomplete)]


_PART = "as a part of 1"

Days = Annotated[int, typer.Option(min=1, max=3650, help="How many days; the first is a Monday.")]
PeoplePerServer = Annotated[float, typer.Option(min=1, max=10_000, metavar="PEOPLE", help="At busy hours, on average.")]
AdHoc = Annotated[float, typer.Option(min=0, max=0.95, help=f"People in meetings that nobody scheduled, {_PART}.")]
AdHocTail = Annotated[float, typer.Option(min=0, max=2, help="How far the sizes of these differ: deviation of their logarithms.")]
SizeNoise = Annotated[float, typer.Option(min=0, max=2, help="The same for meetings of one scheduled room.")]
Cancelled = Annotated[float, typer.Option(min=0, max=0.8, help=f"Scheduled meetings that do not take place, {_PART}.")]
Changing = Annotated[float, typer.Option(min=0, max=1, help=f"Rooms that take on another size for good, {_PART}.")]
EarlyLeavers = Annotated[float, typer.Option(min=0, max=1, help=f"People who leave at any time, {_PART}.")]
ExamDay = Annotated[int | None, typer.Option(min=0, help="A day, from 0, on which sizes have nothing to do with the usual ones.")]
FromDay = Annotated[int | None, typer.Option(help="Figures from this day of the trace on, the first being 0.")]
ToDay = Annotated[int | None, typer.Option(help="Figures up to this day, it included.")]
Capacity = Annotated[int, typer.Option(min=1, metavar="PEOPLE", help="What a server carries.")]
Seed = Annotated[int, typer.Option(min=0, help="Of all that is drawn by chance.")]

MOST_SERVERS = 1000
MOST_SECONDS = 3600.0
