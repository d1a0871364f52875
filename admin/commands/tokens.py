"""`meetingpool tokens …`"""

from typing import Annotated

import typer

from admin.commands.arguments import DryRun, Format, Style, Watch, complete_tenant_names
from meetingpool.domain.access import Role
from meetingpool.domain.servers import AdminState

app = typer.Typer(name="tokens", help="Who may use the management API and the dashboard.", no_args_is_help=True)


def _complete_tokens(incomplete: str) -> list[str]:
    from admin.completion import token_names

    return token_names(incomplete)


@app.command("list")
def list_tokens(style: Style = Format.TABLE, watch: Watch = None) -> None:
    """List tokens, also those that were revoked. None is shown itself."""
    from admin.connection import with_database
    from admin.output import show, until_interrupted
    from admin.tokens import list_tokens

    with until_interrupted(watch):
        with_database(lambda database, _: show(lambda: list_tokens(database), style, watch))


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the audit calls who uses it.")],
    role: Annotated[Role, typer.Option("--role", help="What it may do: docs/management-api.md.")],
    tenant: Annotated[
        str | None,
        typer.Option("--tenant", help="For tenant-admin: id or name of the tenant.", autocompletion=complete_tenant_names),
    ] = None,
    expires_in: Annotated[
        str | None, typer.Option("--expires-in", metavar="90d", help="Days, hours (h) or minutes (m). Default: never.")
    ] = None,
    enters: Annotated[
        AdminState | None, typer.Option("--enters", help="For server: the state in which servers come. Default: cordoned.")
    ] = None,
    hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--hosts", metavar="PLACE", help="Where they may be: *.example.org, 10.20.0.0/16. Default: anywhere by HTTPS."
        ),
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="T", help="Tags of all of them. Default: as each says.")
    ] = None,
    region: Annotated[str | None, typer.Option("--region", metavar="R", help="Region of all of them, likewise.")] = None,
    load_multiplier: Annotated[
        float | None, typer.Option("--load-multiplier", metavar="N", help="Multiplier of all of them, likewise.")
    ] = None,
    replaces: Annotated[
        list[str] | None,
        typer.Option("--replaces", metavar="NAME", help="A token whose servers it takes over.", autocompletion=_complete_tokens),
    ] = None,
    style: Style = Format.TABLE,
    dry_run: DryRun = False,
) -> None:
    """Make a token, and show it this once. One of the role server lets servers register themselves."""
    from admin.connection import with_database
    from admin.tokens import create_token
    from meetingpool.operations.registration_rules import registration_rules

    registers = registration_rules(
        enters=enters, hosts=hosts or (), tags=tag, region=region, load_multiplier=load_multiplier, replaces=replaces or ()
    )
    with_database(
        lambda database, _: create_token(database, name, role, tenant, expires_in, style, registers=registers, dry_run=dry_run)
    )


@app.command("revoke")
def revoke(
    names: Annotated[list[str], typer.Argument(metavar="NAME…", help="Names or ids.", autocompletion=_complete_tokens)],
    dry_run: DryRun = False,
) -> None:
    """Have tokens count no more; whoever signed in to the dashboard with one is out."""
    from admin.connection import with_database
    from admin.tokens import revoke_tokens

    with_database(lambda database, _: revoke_tokens(database, names, dry_run=dry_run))
