"""`meetingpool plan`"""

from typing import Annotated

import typer

from admin.commands.arguments import Format, Style

_MOMENT = "A date, or a time in ISO 8601."


def show(
    begin: Annotated[str | None, typer.Option("--from", metavar="TIME", help=f"{_MOMENT} Default: 14 days before.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help=f"{_MOMENT} Default: now.")] = None,
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="Instead of --from: so many days.")] = None,
    growth: Annotated[
        list[str] | None,
        typer.Option(metavar="GROWTH", help="Also with so many times as many meetings, as 1.5, or so many more, as 50%."),
    ] = None,
    capacity: Annotated[
        int | None, typer.Option(min=1, metavar="PEOPLE", help="What each server carries. Default: its limits, else 200.")
    ] = None,
    servers: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="As if the pool had so many. Default: those that are enabled.")
    ] = None,
    reserve: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="How many may fail. Default: MEETINGPOOL_CAPACITY_RESERVE.")
    ] = None,
    timezone: Annotated[str, typer.Option(metavar="ZONE", help="Of dates, and of the hours of the week.")] = "UTC",
    style: Style = Format.TABLE,
) -> None:
    """Show how many servers were needed, would be needed with growth, and when the pool would have been full."""
    from admin.connection import with_database
    from admin.plan import PlanOptions, show_plan

    options = PlanOptions(
        begin=begin,
        end=end,
        days=days,
        timezone=timezone,
        growths=growth or (),
        capacity=capacity,
        servers=servers,
        reserve=reserve,
    )
    with_database(lambda database, settings: show_plan(database, settings, options, style))
