"""`meetingpool db …`"""

import typer

app = typer.Typer(name="db", help="The schema of the database.", no_args_is_help=True)


@app.command("upgrade")
def upgrade() -> None:
    """Bring the schema to the revision that this version needs."""
    from admin.database import upgrade

    upgrade()


@app.command("current")
def current() -> None:
    """Print the revision of the schema."""
    from admin.database import current

    current()


@app.command("check")
def check() -> None:
    """Say whether the schema is the one that this version needs; exit code 1 if not."""
    from admin.database import check

    check()
