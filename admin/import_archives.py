"""What `recordings import` does: hands archives in among the claimed ones, and imports them at once.

A worker that runs beside it may be faster, and finishes what is interrupted here.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
from rich.progress import Progress as ProgressBar

from admin.connection import this_account
from admin.refusals import Refused
from admin.server_changes import tell
from meetingpool.database import imports
from meetingpool.database.engine import Database
from meetingpool.database.imports import Import, ImportState
from meetingpool.library.files import changed_at, make_directory, move
from meetingpool.library.uploads import UPLOADS
from meetingpool.operations.change_tenant import tenant_named
from meetingpool.operations.import_recording import Importer
from meetingpool.operations.open_library import import_rules, prepare_storage, require_storage, storage_of
from meetingpool.operations.quarantine import path_of, remove_quarantined
from meetingpool.operations.run_imports import ImportRunner, Progress
from meetingpool.settings import Settings

T = TypeVar("T")

LOOK_EVERY = 0.1
_COPIED_AT_ONCE = 16 * 1024 * 1024
# Characters of an archive's name, at its end: a name of the file system has 255 bytes at most.
_NAME_KEPT = 50
# What helps one who has the archive at hand, where the reason does not say so itself.
_ADVICE = {
    "deleted": "the recording was deleted; --force brings it back",
    "unknown_tenant": "nothing proves which tenant the recording is of; name it with --tenant",
}


async def import_archives(
    database: Database, settings: Settings, files: Sequence[Path], *, tenant: str | None, force: bool
) -> None:
    """Imports the archives one after the other; their files stay. Raises Refused when one is not imported, StorageUnusable."""
    if settings.recording_disabled:
        raise Refused("RECORDING_DISABLED says that there are no recordings: take it out of the settings to import any")
    # What becomes of an archive is told below; without logs, warnings would be printed too.
    logging.getLogger("meetingpool").addHandler(logging.NullHandler())
    importing = await _prepared(database, settings, tenant, is_forced=force)
    not_imported = [file for file in files if not await importing.one(file)]
    if not_imported:
        raise Refused(f"{len(not_imported)} of {len(files)} archives are not imported: see above")


async def _prepared(database: Database, settings: Settings, tenant: str | None, *, is_forced: bool) -> "_Importing":
    storage, spool = storage_of(settings), settings.spool_dirs[0].absolute()
    async with database.transaction() as connection:
        tenant = (await tenant_named(connection, tenant)).id if tenant is not None else None
    if settings.recording_spool_dir and not spool.is_dir():
        raise Refused(f"The spool directory {spool} is not there: check that it is mounted")
    try:
        await prepare_storage(database, storage)
        await require_storage(database, storage)
    except OSError as error:
        raise Refused(f"The directories of recordings cannot be used: {error}") from error
    rules = await import_rules(database, settings)
    runner = ImportRunner(database, Importer(database, storage, rules), settle_time=settings.recording_settle_time)
    return _Importing(database, runner, spool, tenant, is_forced=is_forced, quiet_for=settings.recording_settle_time)


class _Importing:
    """Imports archives by way of one spool directory. `quiet_for`: seconds as add_import takes them."""

    def __init__(
        self, database: Database, runner: ImportRunner, spool: Path, tenant: str | None, *, is_forced: bool, quiet_for: float
    ) -> None:
        self._database = database
        self._runner = runner
        self._spool = spool
        self._tenant = tenant
        self._is_forced = is_forced
        self._quiet_for = quiet_for
        self._done_elsewhere = 0

    async def one(self, file: Path) -> bool:
        """Whether the archive is imported. Says what became of it."""
        # Neither the database nor the terminal takes what is no UTF-8.
        name = os.fsencode(file.name).decode(errors="replace")
        try:
            added = await self._hand_in(file, name)
        except OSError as error:
            typer.echo(f"{name} is not imported: {error}", err=True)
            return False
        try:
            ended = await _followed(added.name, added.size, self._bytes_done, self._runner.stop, self._import(added.id))
        except asyncio.CancelledError:
            typer.echo(f"{name} is not imported yet: the recordings worker goes on with it", err=True)
            raise
        if ended.state is ImportState.DONE:
            tell(f"{name} is imported: {', '.join(ended.record_ids)}", dry_run=False)
            return True
        why = _ADVICE.get(ended.reason or "", ended.detail)
        if ended.state is ImportState.QUARANTINED:
            await remove_quarantined(self._database, this_account(), ended)
            typer.echo(f"{name} is not imported: {why}", err=True)
        else:
            typer.echo(f"{name} is not imported yet: {why}; the recordings worker tries it again", err=True)
        return False

    async def _hand_in(self, file: Path, name: str) -> Import:
        # What is left there is removed by the worker, after some days.
        draft = self._spool / UPLOADS / f"{uuid4().hex}.{name[-_NAME_KEPT:]}"
        progress = Progress()

        def stop() -> None:
            progress.is_stopped = True

        try:
            total = (await asyncio.to_thread(file.stat)).st_size
            copying = asyncio.to_thread(_link_or_copy, file, draft, progress)
            found = await _followed(f"{name}, copied", total, lambda: progress.bytes_done, stop, copying)
            return await self._add(name, draft, found)
        finally:
            draft.unlink(missing_ok=True)

    async def _add(self, name: str, draft: Path, found: os.stat_result) -> Import:
        async with self._database.transaction() as connection:
            added = await imports.add_import(
                connection,
                spool=self._spool,
                name=name,
                file=draft.name,
                size=found.st_size,
                mtime_ns=changed_at(found),
                quiet_for=self._quiet_for,
                tenant=self._tenant,
                is_forced=self._is_forced,
            )
            if added is None:
                raise Refused(f"{name} cannot be handed in: call it again")
            # Within the transaction: nobody takes the row before the archive is there, or finds the archive without its row.
            await asyncio.to_thread(move, draft, path_of(added))
        return added

    async def _import(self, import_id: int) -> Import:
        """Imports it here, or waits for the worker that was faster, and takes it when that one gives up."""
        while True:
            await self._runner.run_next(import_id)
            async with self._database.transaction() as connection:
                [found] = await imports.find_imports(connection, [import_id])
            has_failed = found.state is ImportState.WAITING and found.reason is not None
            if found.state in (ImportState.DONE, ImportState.QUARANTINED) or has_failed or self._runner.is_stopping:
                return found
            self._done_elsewhere = found.bytes_done
            await asyncio.sleep(LOOK_EVERY)

    def _bytes_done(self) -> int:
        return max(self._runner.progress.bytes_done, self._done_elsewhere)


async def _followed(name: str, total: int, done: Callable[[], int], stop: Callable[[], None], work: Coroutine[Any, Any, T]) -> T:
    """Does some work, and shows how far it is. Who interrupts it waits for its end, which comes soon after `stop`."""
    running = asyncio.create_task(work)
    with ProgressBar(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    ) as bar:
        task = bar.add_task(name, total=total)
        try:
            while not running.done():
                bar.update(task, completed=done())
                await asyncio.wait([running], timeout=LOOK_EVERY)
        except asyncio.CancelledError:
            stop()
            await asyncio.gather(running, return_exceptions=True)
            raise
    return await running


def _link_or_copy(file: Path, draft: Path, progress: Progress) -> os.stat_result:
    """Another name for the file where its file system is the spool's, else a copy."""
    make_directory(draft.parent)
    try:
        os.link(file.resolve(), draft)
    except OSError:
        # Another file system, one without links, or somebody else's file.
        _copy(file, draft, progress)
    return draft.stat()


def _copy(file: Path, draft: Path, progress: Progress) -> None:
    """Not to the end when it is stopped."""
    with file.open("rb") as source, draft.open("xb") as target:
        copied = 1
        while copied and not progress.is_stopped:
            copied = os.sendfile(target.fileno(), source.fileno(), progress.bytes_done, _COPIED_AT_ONCE)
            progress.bytes_done += copied
