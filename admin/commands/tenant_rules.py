"""`meetingpool tenants rules …`"""

from typing import Annotated

import typer

from admin.commands.arguments import DryRun, Format, Style, TenantName, Watch
from meetingpool.domain.parameters import Operator
from meetingpool.domain.rule_notation import NOTATION
from meetingpool.domain.tenants import RULED_CALLS

app = typer.Typer(name="rules", help="What a tenant's calls may say: rules on parameters.", no_args_is_help=True)


@app.command("list")
def list_rules(name: TenantName, style: Style = Format.TABLE, watch: Watch = None) -> None:
    """List the rules of a tenant."""
    from admin.connection import with_database
    from admin.output import show, until_interrupted
    from admin.tenants import list_rules

    with until_interrupted(watch):
        with_database(lambda database, _: show(lambda: list_rules(database, name), style, watch))


@app.command("set")
def set_rule(
    name: TenantName,
    call: Annotated[str, typer.Argument(metavar="CALL", help="create or join.", autocompletion=lambda: list(RULED_CALLS))],
    rule: Annotated[str, typer.Argument(metavar="RULE", help=f"Quoted: {NOTATION}.")],
    operator: Annotated[
        Operator | None, typer.Option("--operator", help="Instead of a sign in RULE, which then is the parameter's name.")
    ] = None,
    value: Annotated[str, typer.Option("--value", metavar="V", help="With --operator.")] = "",
    dry_run: DryRun = False,
) -> None:
    """Add a rule, or give the one with the same parameter and operator another value."""
    if value and operator is None:
        raise typer.BadParameter("--value needs --operator")
    from admin.connection import with_database
    from admin.tenant_changes import set_rule
    from meetingpool.domain.tenants import new_rule
    from meetingpool.operations.change_tenant_rules import read_rule

    ruled, given = read_rule(call, rule) if operator is None else new_rule(call, operator, rule, value)
    with_database(lambda database, settings: set_rule(database, settings, name, ruled, given, dry_run=dry_run))


@app.command("remove")
def remove_rules(
    name: TenantName,
    rules: Annotated[
        list[str], typer.Argument(metavar="ID|RULE…", help="Their numbers, or the rules as `rules list` shows them.")
    ],
    dry_run: DryRun = False,
) -> None:
    """Remove rules of a tenant."""
    from admin.connection import with_database
    from admin.tenant_changes import remove_rules

    with_database(lambda database, settings: remove_rules(database, settings, name, rules, dry_run=dry_run))
