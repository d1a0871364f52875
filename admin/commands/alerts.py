"""`meetingpool alerts …`"""

from pathlib import Path
from typing import Annotated

import typer

from admin.commands.arguments import DryRun, Format, Style, Watch
from admin.commands.given_secrets import given_secret
from meetingpool.domain.alerts import AlertKind

app = typer.Typer(name="alerts", help="Who is told when something is wrong.", no_args_is_help=True)

HookId = Annotated[str, typer.Argument(metavar="ID", help="The id of an address.")]


@app.command("list")
def list_hooks(
    show_urls: Annotated[bool, typer.Option("--show-urls", help="Show the whole URLs, which may hold secrets.")] = False,
    style: Style = Format.TABLE,
    watch: Watch = None,
) -> None:
    """List the addresses that are told."""
    from admin.alerts import list_hooks
    from admin.connection import with_database
    from admin.output import show, until_interrupted

    with until_interrupted(watch):
        with_database(lambda database, _: show(lambda: list_hooks(database, show_urls=show_urls), style, watch))


@app.command("add")
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where alerts are sent.")],
    kind: Annotated[list[AlertKind] | None, typer.Option("--kind", help="Only these; may be given several times.")] = None,
    secret: Annotated[
        str | None, typer.Option(metavar="SECRET", help="What alerts are signed with; - reads it. Default: a new one.")
    ] = None,
    secret_file: Annotated[Path | None, typer.Option(help="A file that holds the secret.", exists=True, dir_okay=False)] = None,
    dry_run: DryRun = False,
) -> None:
    """Tell an address of alerts from now on."""
    given = given_secret("--secret", secret, secret_file)
    from admin.alerts import add
    from admin.connection import with_database

    with_database(lambda database, settings: add(database, settings, url, given, kind or (), dry_run=dry_run))


@app.command("remove")
def remove(hook_id: HookId, dry_run: DryRun = False) -> None:
    """Tell an address no more."""
    from admin.alerts import remove
    from admin.connection import with_database

    with_database(lambda database, _: remove(database, hook_id, dry_run=dry_run))


@app.command("test")
def test(hook_id: HookId) -> None:
    """Send an address an alert now, and say what came back."""
    from admin.alerts import test
    from admin.connection import with_database

    with_database(lambda database, settings: test(database, settings, hook_id))
