"""What `recordings fsck` does."""

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from admin.commands.arguments import Format
from admin.output import Column, Listing, write
from admin.refusals import Refused
from meetingpool.database.engine import Database
from meetingpool.database.tenants import find_tenant
from meetingpool.domain.library_faults import ORDER, Fault, Finding
from meetingpool.library.storage import Storage
from meetingpool.operations.adopt_tree import Adopter
from meetingpool.operations.check_library import PATIENCE, QUIET, Checker, CheckRules, Report
from meetingpool.operations.open_library import import_rules, storage_of
from meetingpool.operations.repair_library import NotRepaired, Repairer, RepairRules
from meetingpool.operations.settle_recording import Settler
from meetingpool.settings import Settings

# Scripts rely on these names.
NAMES = ("class", "recording", "format", "id", "path", "detail", "repaired", "reason")
_COLUMNS = [
    Column("CLASS", lambda row: row["class"]),
    Column("RECORDING", lambda row: row["recording"]),
    Column("FORMAT", lambda row: row["format"]),
    Column("DETAIL", lambda row: row["detail"]),
    Column("PATH", lambda row: row["path"], can_be_spared=True),
]
_REPAIR_COLUMN = Column("REPAIR", lambda row: "repaired" if row["repaired"] else row["reason"])

# What became of a finding: None when it was repaired, else why not.
Outcome = str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FsckOptions:
    """`faults`: only these; none for all. `tenant`: id or name of the one that adopted recordings are of.

    `quiet` and `patience` as in CheckRules.
    """

    faults: Collection[Fault] = ()
    repair: bool = False
    adopt: bool = False
    accept_files: bool = False
    with_hashes: bool = False
    tenant: str | None = None
    quiet: float = QUIET
    patience: float = PATIENCE


async def fsck(database: Database, settings: Settings, options: FsckOptions, style: Format) -> bool:
    """Prints what is wrong, and repairs it if that is wanted. Whether nothing is left, and all could be looked at.

    Raises Refused, StorageUnusable and DatabaseUnavailable.
    """
    storage = storage_of(settings)
    repairer = await _repairer(database, storage, settings, options) if options.repair else None
    with _progress() as progress:
        try:
            report = await _checker(database, storage, settings, options, progress).run()
            found = [finding for finding in report.findings if not options.faults or finding.fault in options.faults]
            found.sort(key=lambda finding: ORDER[finding.fault])
            outcomes = await _repaired(repairer, found, progress) if repairer else {}
        except OSError as error:
            raise Refused(f"The directories of recordings cannot be read: {error}") from error
    write(_listing(found, outcomes, is_repair=options.repair), style)
    _tell_unchecked(report)
    return all(outcomes.get(number, "") is None for number in range(len(found))) and not report.unchecked


async def _repairer(database: Database, storage: Storage, settings: Settings, options: FsckOptions) -> Repairer:
    settler, adopter = Settler(database, storage), None
    if options.adopt:
        rules, tenant = await import_rules(database, settings), await _tenant_id(database, options.tenant)
        adopter = Adopter(database, storage, settler, rules, tenant=tenant, quiet=options.quiet)
    repair_rules = RepairRules(adopter=adopter, accept_files=options.accept_files, quiet=options.quiet)
    return Repairer(database, storage, settler, repair_rules)


async def _tenant_id(database: Database, name: str | None) -> str | None:
    if name is None:
        return None
    async with database.transaction() as connection:
        tenant = await find_tenant(connection, name)
    if tenant is None:
        raise Refused(f"No tenant found with id or name: {name}; `meetingpool tenants list` shows them all")
    return tenant.id


def _checker(database: Database, storage: Storage, settings: Settings, options: FsckOptions, progress: Progress) -> Checker:
    rules = CheckRules(
        trash_days=settings.recording_trash_days,
        with_hashes=options.with_hashes,
        quiet=options.quiet,
        patience=options.patience,
    )
    tasks: dict[str, TaskID] = {}

    def watch(what: str, done: int, total: int | None) -> None:
        if what not in tasks:
            tasks[what] = progress.add_task(what)
        progress.update(tasks[what], completed=done, total=total)

    spools = [directory.absolute() for directory in settings.spool_dirs]
    return Checker(database, storage, spools, rules, watch)


async def _repaired(repairer: Repairer, found: Sequence[Finding], progress: Progress) -> dict[int, Outcome]:
    """What became of each, by its position."""
    outcomes: dict[int, Outcome] = {}
    for number, finding in enumerate(progress.track(found, description="repairs")):
        try:
            await repairer.repair(finding)
            outcomes[number] = None
        except NotRepaired as error:
            outcomes[number] = str(error)
    return outcomes


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True)


def _listing(found: Sequence[Finding], outcomes: Mapping[int, Outcome], *, is_repair: bool) -> Listing:
    records = [_record(finding, outcomes.get(number, "")) for number, finding in enumerate(found)]
    repaired = sum(record["repaired"] for record in records)
    return Listing(
        names=NAMES,
        records=records,
        columns=_COLUMNS + [_REPAIR_COLUMN] * is_repair,
        when_empty="Database and files agree",
        summary=f"{len(records)} found, {repaired} repaired"
        if is_repair
        else f"{len(records)} found; --repair repairs what it can",
    )


def _record(finding: Finding, outcome: Outcome) -> dict[str, Any]:
    return {
        "class": finding.fault.value,
        "recording": finding.record_id,
        "format": finding.format,
        "id": finding.number,
        "path": _printable(str(finding.path)) if finding.path else None,
        "detail": finding.detail,
        "repaired": outcome is None,
        "reason": outcome or None,
    }


def _printable(path: str) -> str:
    """Whatever somebody called a file."""
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def _tell_unchecked(report: Report) -> None:
    for sentence in report.unchecked:
        typer.echo(sentence, err=True)
    if report.in_motion:
        typer.echo(f"Left out, since they were being changed: {report.in_motion}; call it again", err=True)
