"""`meetingpool audit …`"""

from typing import Annotated

import typer

from admin.commands.arguments import Format, Style, Watch, complete_tenant_names

app = typer.Typer(name="audit", help="Who changed what, and when.", no_args_is_help=True)


@app.command("list")
def list_audit(
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="A date or time in ISO 8601 (UTC), or an age as 90d, 12h, 30m."),
    ] = None,
    subject: Annotated[str | None, typer.Option("--subject", metavar="ID", help="Only what was done to this.")] = None,
    action: Annotated[
        str | None, typer.Option("--action", metavar="ACTION", help="Only this, as servers.cordon, or all of a noun, as servers.")
    ] = None,
    tenant: Annotated[
        str | None,
        typer.Option("--tenant", help="Only of the tenant with this id or name.", autocompletion=complete_tenant_names),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="At most so many, the newest.")] = 100,
    style: Style = Format.TABLE,
    watch: Watch = None,
) -> None:
    """List changes, the newest first."""
    from admin.audit import AuditOptions, list_audit
    from admin.connection import with_database
    from admin.output import show, until_interrupted

    options = AuditOptions(since=since, subject=subject, action=action, tenant=tenant, limit=limit)
    with until_interrupted(watch):
        with_database(lambda database, _: show(lambda: list_audit(database, options), style, watch))
