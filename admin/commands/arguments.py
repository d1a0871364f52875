"""The options and arguments that several commands have."""

from enum import StrEnum
from typing import Annotated

import typer

DEFAULT_INTERVAL = "2"


class Format(StrEnum):
    """How a list is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"


def complete_server_ids(incomplete: str) -> list[str]:
    """The ids for the shell; none while the database is out of reach."""
    from admin.completion import server_ids

    return server_ids(incomplete)


def complete_tenant_names(incomplete: str) -> list[str]:
    """As for the ids of servers."""
    from admin.completion import tenant_names

    return tenant_names(incomplete)


def complete_meeting_ids(incomplete: str) -> list[str]:
    """As for the ids of servers."""
    from admin.completion import meeting_ids

    return meeting_ids(incomplete)


Style = Annotated[Format, typer.Option("--format", "-f", help="How to print it.")]
Watch = Annotated[
    float | None,
    typer.Option("--watch", "-w", min=0.1, metavar="[SECONDS]", help="Print it again and again, every 2 seconds by default."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Tenant = Annotated[
    str | None,
    typer.Option("--tenant", help="Only meetings of the tenant with this id or name.", autocompletion=complete_tenant_names),
]
TenantName = Annotated[str, typer.Argument(metavar="NAME", help="Name or id of a tenant.", autocompletion=complete_tenant_names)]

_SERVER_HELP = "Id or host name of a server."
ServerName = Annotated[str, typer.Argument(metavar="ID", help=_SERVER_HELP, autocompletion=complete_server_ids)]
ServerNames = Annotated[list[str], typer.Argument(metavar="ID…", help=_SERVER_HELP, autocompletion=complete_server_ids)]
OptionalServerNames = Annotated[
    list[str] | None, typer.Argument(metavar="[ID…]", help=_SERVER_HELP, autocompletion=complete_server_ids)
]
OnServer = Annotated[
    str | None, typer.Option("--server", help="Only meetings on this server.", autocompletion=complete_server_ids)
]
