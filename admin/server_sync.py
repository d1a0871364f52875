"""What `servers sync` and `servers export` do."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from admin.commands.arguments import Format
from admin.connection import changing, this_account
from admin.output import Column, Listing, write
from admin.refusals import Refused
from meetingpool.bbb.client import Client
from meetingpool.clock import SystemClock
from meetingpool.database.engine import Database
from meetingpool.database.servers import all_servers
from meetingpool.domain.server_limits import limits_of
from meetingpool.domain.server_sync import Action, Mode, Plan, Step
from meetingpool.domain.servers import AdminState
from meetingpool.operations.change_server import described
from meetingpool.operations.server_lists import read_servers, tag_of, written_servers
from meetingpool.operations.sync_servers import plan_sync, sync_servers
from meetingpool.settings import Settings

# Scripts rely on these names.
NAMES = ("action", "id", "before", "after", "meetings")
_COLUMNS = [Column("ACTION", lambda step: step["action"]), Column("ID", lambda step: step["id"])]
_SIGNS = {Action.ADD: ("+", "green"), Action.CHANGE: ("~", "yellow"), Action.CORDON: ("~", "yellow")}
_GOING = ("-", "red")
_DONE = {
    Action.ADD: "added",
    Action.CHANGE: "changed",
    Action.CORDON: "cordoned",
    Action.REMOVE: "removed",
    Action.END: "emptied and removed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOptions:
    """`may_ask`: whether somebody can answer on standard input."""

    mode: Mode
    dry_run: bool
    yes: bool
    style: Format
    may_ask: bool = True


async def sync(database: Database, settings: Settings, text: str, options: SyncOptions) -> None:
    """Shows the plan, asks if servers go, and carries it out. Raises InvalidServer, ServerExists, PlanChanged or Refused."""
    wanted = read_servers(text)
    plan = await plan_sync(database, this_account(), wanted, options.mode)
    _show(plan, options.style)
    if options.dry_run or not plan.steps:
        return
    if plan.taken_away and not options.yes:
        _ask(plan, may_ask=options.may_ask)
    async with Client(connect_timeout=settings.connect_timeout) as client:
        agreed = None if options.yes else plan
        synced = await sync_servers(database, client, SystemClock(), this_account(), wanted, options.mode, agreed=agreed)
    if options.style is Format.TABLE:
        print(_summary(synced.plan), flush=True)
    if synced.not_removed:
        raise Refused("; ".join(synced.not_removed.values()))


async def export(database: Database, *, show_secrets: bool, verbose: bool) -> None:
    """Prints all servers as `servers sync` reads them."""
    async with changing(database, dry_run=False) as change:
        servers = await all_servers(change.connection)
        if show_secrets:
            await change.note("servers.show_secret", "all")
    sys.stdout.write(written_servers(servers, show_secrets=show_secrets, verbose=verbose))
    if servers and not show_secrets:
        typer.echo("The secrets are left out, so this list cannot be synced: --show-secrets writes them too", err=True)
    if any(server.region or any(limits_of(server).values()) for server in servers):
        typer.echo(
            "Scalelite knows no regions and limits: take those lines out before its servers:sync reads this list", err=True
        )


def plan_record(step: Step) -> dict[str, Any]:
    """A step under the stable names, without secrets."""
    return {
        "action": step.action.value,
        "id": step.server_id,
        "before": described(step.before) or None,
        "after": described(step.after) or None,
        "meetings": step.meetings,
    }


def lines_of(step: Step) -> list[str]:
    """A step as lines of a diff, without secrets."""
    sign, _ = _SIGNS.get(step.action, _GOING)
    match step.action:
        case Action.REMOVE:
            return [f"{sign} {step.server_id} ({step.before['url']}): removed"]
        case Action.END:
            return [f"{sign} {step.server_id} ({step.before['url']}): {step.meetings} meetings ended, then removed"]
        case Action.CORDON:
            return [f"{sign} {step.server_id}: not in the list, cordoned until its {step.meetings} meetings are over"]
    changes = [f"    {_change(name, step.before, value)}" for name, value in step.after.items()]
    return [f"{sign} {step.server_id}", *changes]


def _show(plan: Plan, style: Format) -> None:
    if style is not Format.TABLE:
        records = [plan_record(step) for step in plan.steps]
        write(Listing(names=NAMES, records=records, columns=_COLUMNS, when_empty=""), style)
        return
    if not plan.steps:
        print("The servers are as the list says")
    console = Console(file=sys.stdout, soft_wrap=True, highlight=False)
    for step in plan.steps:
        _, colour = _SIGNS.get(step.action, _GOING)
        console.print(Text("\n".join(lines_of(step)), style=colour))


def _ask(plan: Plan, *, may_ask: bool) -> None:
    if not may_ask:
        raise Refused("Nothing is changed: with the list on standard input, give --yes to let servers go")
    if not typer.confirm(f"Go on, and let {len(plan.taken_away)} servers go?", err=True):
        raise Refused("Nothing is changed")


def _change(name: str, before: Mapping[str, Any], value: object) -> str:
    if name == "secret":
        return "secret: changed" if before else "secret: set"
    return f"{name}: {_shown(before[name])} -> {_shown(value)}" if before else f"{name}: {_shown(value)}"


def _shown(value: object) -> str:
    match value:
        case AdminState():
            return value.value
        case frozenset() | list():
            return tag_of(value) or "none"
        case float():
            return f"{value:g}"
        case _:
            return "none" if value is None else str(value)


def _summary(plan: Plan) -> str:
    counts = {what: sum(step.action is action for step in plan.steps) for action, what in _DONE.items()}
    return f"Done: {', '.join(f'{count} {what}' for what, count in counts.items() if count)}"
