"""`meetingpool meetings …`"""

from typing import Annotated

import typer

from admin.commands.arguments import DryRun, Format, OnServer, Style, Tenant, Watch, Yes, complete_meeting_ids

app = typer.Typer(name="meetings", help="The meetings that run now, and those that are over.", no_args_is_help=True)


@app.command("list")
def list_meetings(server: OnServer = None, tenant: Tenant = None, style: Style = Format.TABLE, watch: Watch = None) -> None:
    """List meetings and the servers that carry them."""
    from admin.connection import with_database
    from admin.meetings import list_meetings
    from admin.output import show, until_interrupted

    with until_interrupted(watch):
        with_database(lambda database, _: show(lambda: list_meetings(database, server, tenant), style, watch))


@app.command("show")
def show_meeting(
    meeting_id: Annotated[str, typer.Argument(metavar="ID", help="The meetingID.", autocompletion=complete_meeting_ids)],
    tenant: Tenant = None,
    why: Annotated[
        bool, typer.Option("--why", help="Show instead why it got its server, also of one that is over: all that were compared.")
    ] = False,
    style: Style = Format.TABLE,
) -> None:
    """Show a meeting, with what its server says of it now."""
    from admin.connection import with_database

    if why:
        from admin.placement import show_placement

        with_database(lambda database, _: show_placement(database, meeting_id, tenant, style))
        return
    from admin.meetings import show_meeting

    with_database(lambda database, settings: show_meeting(database, settings, meeting_id, tenant, style))


@app.command("history")
def history(
    room: Annotated[str | None, typer.Option("--room", metavar="ID", help="Only those with this meetingID.")] = None,
    tenant: Tenant = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at the most.")] = 50,
    style: Style = Format.TABLE,
    watch: Watch = None,
) -> None:
    """List the meetings that ended last, with the most people that were in each."""
    from admin.connection import with_database
    from admin.meetings import list_past_meetings
    from admin.output import show, until_interrupted

    with until_interrupted(watch):
        with_database(lambda database, _: show(lambda: list_past_meetings(database, room, tenant, limit), style, watch))


@app.command("end")
def end(
    meeting_ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID…", help="The meetingIDs.", autocompletion=complete_meeting_ids)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="End all meetings.")] = False,
    tenant: Tenant = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """End meetings on their servers."""
    if bool(meeting_ids) == everything:
        raise typer.BadParameter("name the meetings to end, or give --all")
    from admin.connection import with_database
    from admin.meetings import EndOptions, end_meetings

    options = EndOptions(everything=everything, tenant=tenant, yes=yes, dry_run=dry_run)
    with_database(lambda database, settings: end_meetings(database, settings, meeting_ids or [], options))
