"""`meetingpool servers sync` and `export`"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from admin.commands.arguments import DryRun, Format, Style, Yes
from meetingpool.domain.server_sync import Mode


def sync(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The list, in YAML; - is standard input.")],
    mode: Annotated[
        Mode,
        typer.Option(
            "--mode",
            help="Servers that are not in the list: keep leaves them; cordon removes those without meetings, and cordons "
            "the others; force ends their meetings and removes them.",
        ),
    ] = Mode.CORDON,
    dry_run: DryRun = False,
    yes: Yes = False,
    style: Style = Format.TABLE,
) -> None:
    """Make the servers what a list says, as `servers export` writes it; shows the plan, and asks if servers go."""
    from admin.connection import with_database
    from admin.server_sync import SyncOptions
    from admin.server_sync import sync as run

    is_input = str(file) == "-"
    text = _read(file, is_input=is_input)
    options = SyncOptions(mode=mode, dry_run=dry_run, yes=yes, style=style, may_ask=not is_input)
    with_database(lambda database, settings: run(database, settings, text, options))


def export(
    verbose: Annotated[bool, typer.Option("--verbose", help="Also what polling saw, which sync ignores.")] = False,
    show_secrets: Annotated[bool, typer.Option("--show-secrets", help="With the secrets: then it can be synced.")] = False,
) -> None:
    """Write all servers as a list in YAML, as `servers sync` reads it, and Scalelite's servers:sync too."""
    from admin.connection import with_database
    from admin.server_sync import export as run

    with_database(lambda database, _: run(database, show_secrets=show_secrets, verbose=verbose))


def _read(file: Path, *, is_input: bool) -> str:
    try:
        return sys.stdin.read() if is_input else file.read_text()
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{file} does not hold text") from None
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}") from None
