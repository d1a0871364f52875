"""`meetingpool check …`"""

from enum import StrEnum
from typing import Annotated, Any

import typer
from typer.core import TyperCommand
from typer.exceptions import TyperException

UNKNOWN = 3


class What(StrEnum):
    """What is checked."""

    SERVERS = "servers"
    RECORDINGS = "recordings"
    CALLBACKS = "callbacks"
    POLLER = "poller"
    ALL = "all"


class Plugin(TyperCommand):
    """A plugin of a monitoring system, to which wrong usage is an unknown state; the exit code of others would be critical."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        try:
            return super().make_context(*args, **extra)
        except TyperException as error:
            typer.echo(f"UNKNOWN - {error}")
            error.exit_code = UNKNOWN
            raise


def check(
    what: Annotated[What, typer.Argument(help="What to look at.")] = What.ALL,
    warning: Annotated[
        str | None,
        typer.Option("--warning", "-w", metavar="RANGE", help="Warn when the first figure is outside of this, as 10 or 5:10."),
    ] = None,
    critical: Annotated[
        str | None, typer.Option("--critical", "-c", metavar="RANGE", help="The same for what is critical.")
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", "-t", min=1, metavar="SECONDS", help="Critical when there is no answer until then.")
    ] = 10.0,
) -> None:
    """Say for Nagios or Icinga how the pool is; exit codes 0 to 3 are OK, WARNING, CRITICAL and UNKNOWN."""
    from admin.check import run_check

    raise typer.Exit(run_check(what.value, warning, critical, timeout))
