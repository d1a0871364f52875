"""`meetingpool keys …`"""

import typer

from admin.commands.arguments import DryRun, Format, Style

app = typer.Typer(name="keys", help="The keys that secrets in the database are encrypted with.", no_args_is_help=True)


@app.command("list")
def list_keys(style: Style = Format.TABLE) -> None:
    """List the keys of this machine and of the database by their ids, and how many secrets each encrypts."""
    from admin.keys import list_keys

    list_keys(style)


@app.command("rotate")
def rotate(dry_run: DryRun = False) -> None:
    """Encrypt all secrets anew with the first key of the settings."""
    from admin.connection import with_database
    from admin.keys import rotate

    with_database(lambda database, _: rotate(database, dry_run=dry_run))


@app.command("new")
def new() -> None:
    """Print a new key."""
    from meetingpool.secret_files import new_secret

    typer.echo(new_secret())
