"""`meetingpool callbacks …`"""

from typing import Annotated

import typer

from admin.commands.arguments import DryRun, Format, Style, Watch, complete_tenant_names
from meetingpool.domain.announcements import AnnouncementState

app = typer.Typer(name="callbacks", help="What front ends are told of meetings and recordings.", no_args_is_help=True)


def complete_callback_ids(incomplete: str) -> list[str]:
    """Of those that are not delivered."""
    from admin.completion import callback_ids

    return callback_ids(incomplete)


@app.command("list")
def list_callbacks(
    state: Annotated[AnnouncementState | None, typer.Option("--state", help="Only callbacks in this state.")] = None,
    tenant: Annotated[
        str | None,
        typer.Option("--tenant", help="Only callbacks of the tenant with this id or name.", autocompletion=complete_tenant_names),
    ] = None,
    show_urls: Annotated[bool, typer.Option("--show-urls", help="Show the whole URLs, which may hold secrets.")] = False,
    style: Style = Format.TABLE,
    watch: Watch = None,
) -> None:
    """List callbacks that wait, and those of the last days."""
    from admin.callbacks import list_callbacks
    from admin.connection import with_database
    from admin.output import show, until_interrupted

    with until_interrupted(watch):
        with_database(
            lambda database, _: show(lambda: list_callbacks(database, state, tenant, show_urls=show_urls), style, watch)
        )


@app.command("retry")
def retry(
    ids: Annotated[
        list[int] | None,
        typer.Argument(
            metavar="ID…", min=1, max=2**63 - 1, help="The numbers of callbacks.", autocompletion=complete_callback_ids
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that wait or were given up.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Try callbacks again now, and for another day."""
    if bool(ids) == everything:
        raise typer.BadParameter("name the callbacks to retry, or give --all")
    from admin.callbacks import retry_callbacks
    from admin.connection import with_database

    with_database(lambda database, _: retry_callbacks(database, ids or [], everything=everything, dry_run=dry_run))
