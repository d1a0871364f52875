"""`meetingpool usage`"""

from typing import Annotated

import typer

from admin.commands.arguments import Format, Style, Watch, complete_server_ids, complete_tenant_names
from meetingpool.domain.usage import UsageBy

_MOMENT = "A date, or a time in ISO 8601; whole hours are counted."


def show(
    begin: Annotated[str | None, typer.Option("--from", metavar="TIME", help=f"{_MOMENT} Default: this month.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help=f"{_MOMENT} Default: now.")] = None,
    by: Annotated[UsageBy, typer.Option("--by", help="What there is a row for.")] = UsageBy.TENANT,
    timezone: Annotated[str, typer.Option(metavar="ZONE", help="Where dates and days begin at midnight.")] = "UTC",
    tenant: Annotated[
        str | None,
        typer.Option("--tenant", help="Only of the tenant with this id or name.", autocompletion=complete_tenant_names),
    ] = None,
    server: Annotated[
        str | None, typer.Option("--server", help="Only on this server.", autocompletion=complete_server_ids)
    ] = None,
    style: Style = Format.TABLE,
    watch: Watch = None,
) -> None:
    """Show how much the pool was used."""
    from admin.connection import with_database
    from admin.output import show, until_interrupted
    from admin.usage import list_usage

    with until_interrupted(watch):
        with_database(
            lambda database, _: show(lambda: list_usage(database, by, (begin, end, timezone), tenant, server), style, watch)
        )
