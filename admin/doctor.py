"""What `doctor` does: looks at everything, and prints what is wrong and what to do about it."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

from admin.commands.arguments import Format
from admin.connection import database_url
from admin.output import Column, Listing, write
from admin.refusals import sentence_of
from meetingpool.clock import SystemClock
from meetingpool.database.embedded import EmbeddedDatabaseError
from meetingpool.database.engine import Database
from meetingpool.operations.diagnose import diagnose
from meetingpool.operations.diagnose_settings import diagnose_environment
from meetingpool.operations.diagnosis import Area, Finding, Severity
from meetingpool.secret_keys import keyring_of
from meetingpool.settings import Settings, SettingsError, read_settings

# Scripts rely on these names.
NAMES = ("severity", "area", "subject", "detail", "advice")
_COLUMNS = [Column("SEVERITY", lambda finding: finding["severity"]), Column("SUBJECT", lambda finding: finding["subject"])]
_COLOURS = {Severity.OK: "green", Severity.NOTE: "yellow", Severity.PROBLEM: "bold red"}
_ORDER = (Severity.PROBLEM, Severity.NOTE, Severity.OK)


def run_doctor(style: Format, *, verbose: bool) -> bool:
    """Whether there is no problem."""
    found = sorted(_findings(), key=lambda finding: _ORDER.index(finding.severity))
    if style is Format.TABLE:
        _print(found, verbose=verbose)
    else:
        write(Listing(names=NAMES, records=[_record(finding) for finding in found], columns=_COLUMNS, when_empty=""), style)
    return not any(finding.severity is Severity.PROBLEM for finding in found)


def _findings() -> Iterator[Finding]:
    yield from diagnose_environment(os.environ)
    try:
        settings = read_settings()
        keyring_of(settings)
    except SettingsError as error:
        advice = "put them right, and call this again: nothing else can be looked at before; docs/settings.md lists all there are"
        yield Area("settings").problem("environment", sentence_of(error), advice)
        return
    if not settings.database_url and not (settings.data_dir / "postgres").exists():
        said = "there is no embedded database yet, and MEETINGPOOL_DATABASE_URL names no other"
        yield Area("database").note(
            "embedded", said, "`meetingpool up` makes it; for several machines, set MEETINGPOOL_DATABASE_URL"
        )
        yield from asyncio.run(_diagnosed(None, settings))
        return
    try:
        with database_url(settings) as url:
            found = asyncio.run(_diagnosed(url, settings))
    except EmbeddedDatabaseError as error:
        advice = "set MEETINGPOOL_DATABASE_URL to a PostgreSQL of yours, or put right what it says"
        yield Area("database").problem("embedded", sentence_of(error), advice)
        found = asyncio.run(_diagnosed(None, settings))
    yield from found


async def _diagnosed(url: str | None, settings: Settings) -> list[Finding]:
    if url is None:
        return await diagnose(None, settings, SystemClock())
    database = Database(url, name="doctor", pool_size=1, keyring=keyring_of(settings))
    try:
        return await diagnose(database, settings, SystemClock())
    finally:
        await database.close()


def _record(finding: Finding) -> dict[str, Any]:
    return asdict(finding) | {"advice": finding.advice or None}


def _print(found: Sequence[Finding], *, verbose: bool) -> None:
    console = Console(file=sys.stdout, soft_wrap=True, highlight=False)
    for finding in found:
        if verbose or finding.severity is not Severity.OK:
            line = Text(f"{finding.severity.value:8}", style=_COLOURS[finding.severity])
            console.print(line.append(f"{finding.area}, {finding.subject}: {finding.detail}", style="default"))
            if finding.advice:
                console.print(Text(f"{'':8}-> {finding.advice}"))
    counts = Counter(finding.severity for finding in found)
    print(f"{counts[Severity.PROBLEM]} problems, {counts[Severity.NOTE]} notes; {counts[Severity.OK]} things are fine")
