"""`meetingpool doctor`"""

from typing import Annotated

import typer

from admin.commands.arguments import Format, Style


def doctor(
    style: Style = Format.TABLE,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show what is fine, too.")] = False,
) -> None:
    """Try what really goes wrong, and say what to do about it; exit code 1 when there are problems."""
    from admin.doctor import run_doctor

    if not run_doctor(style, verbose=verbose):
        raise typer.Exit(1)
