"""`meetingpool recordings …`"""

from pathlib import Path
from typing import Annotated

import typer

from admin.commands import recordings_fsck
from admin.commands.arguments import DryRun, Format, Style, Watch, Yes, complete_tenant_names
from meetingpool.domain.recordings import RecordingState

app = typer.Typer(name="recordings", help="The library of recordings, and what is on its way into it.", no_args_is_help=True)
quarantine = typer.Typer(name="quarantine", help="Archives that were refused.", no_args_is_help=True)
app.add_typer(quarantine, name="quarantine")
app.command("fsck")(recordings_fsck.fsck)
app.command("repair")(recordings_fsck.repair)


def complete_record_ids(incomplete: str) -> list[str]:
    """As for the ids of servers."""
    from admin.completion import record_ids

    return record_ids(incomplete)


def complete_deleted(incomplete: str) -> list[str]:
    """As for the ids of servers."""
    from admin.completion import deleted_record_ids

    return deleted_record_ids(incomplete)


def complete_refused(incomplete: str) -> list[str]:
    """As for the ids of servers."""
    from admin.completion import refused_archives

    return refused_archives(incomplete)


_RECORDINGS_HELP = "The ids of recordings."
_MOST_ID = 2**63 - 1
_MOST_ROWS = 2**31

RecordIds = Annotated[list[str], typer.Argument(metavar="ID…", help=_RECORDINGS_HELP, autocompletion=complete_record_ids)]
DeletedIds = Annotated[list[str], typer.Argument(metavar="ID…", help=_RECORDINGS_HELP, autocompletion=complete_deleted)]
OptionalRecordIds = Annotated[
    list[str] | None, typer.Argument(metavar="[ID…]", help=_RECORDINGS_HELP, autocompletion=complete_record_ids)
]
ArchiveIds = Annotated[
    list[int],
    typer.Argument(metavar="ID…", min=1, max=_MOST_ID, help="The numbers of archives.", autocompletion=complete_refused),
]
OptionalArchiveIds = Annotated[
    list[int] | None,
    typer.Argument(metavar="[ID…]", min=1, max=_MOST_ID, help="The numbers of archives.", autocompletion=complete_refused),
]
OfTenant = Annotated[
    str | None,
    typer.Option("--tenant", help="Only recordings of the tenant with this id or name.", autocompletion=complete_tenant_names),
]
GivenTenant = Annotated[
    str | None,
    typer.Option("--tenant", help="Whose they are, where nothing proves it.", autocompletion=complete_tenant_names),
]
Force = Annotated[bool, typer.Option("--force", help="Bring back a recording that was deleted.")]


@app.command("run")
def run() -> None:
    """Run the worker that imports recordings."""
    from admin.up import run_recordings

    run_recordings()


@app.command("list")
def list_recordings(
    tenant: OfTenant = None,
    meeting: Annotated[str | None, typer.Option("--meeting", help="Only recordings of this meetingID.")] = None,
    state: Annotated[RecordingState | None, typer.Option("--state", help="Only recordings in this state.")] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, max=_MOST_ROWS, help="At most so many, the newest; a table shows 100 unless told."),
    ] = None,
    importing: Annotated[bool, typer.Option("--importing", help="What is on its way into the library, and how far.")] = False,
    style: Style = Format.TABLE,
    watch: Watch = None,
) -> None:
    """List recordings, the newest first."""
    if importing and (tenant or meeting or state or limit):
        raise typer.BadParameter("--importing lists archives, of which nothing else is known yet: give it alone")
    from admin.connection import with_database
    from admin.imports import list_importing
    from admin.output import show, until_interrupted
    from admin.recordings import ROWS_SHOWN, ListOptions, list_recordings

    if limit is None and style is Format.TABLE:
        limit = ROWS_SHOWN
    options = ListOptions(tenant=tenant, meeting_id=meeting, state=state, limit=limit)
    with until_interrupted(watch):
        with_database(
            lambda database, _: show(
                lambda: list_importing(database) if importing else list_recordings(database, options), style, watch
            )
        )


@app.command("show")
def show_recording(
    record_id: Annotated[str, typer.Argument(metavar="ID", help="The id of a recording.", autocompletion=complete_record_ids)],
    style: Style = Format.TABLE,
) -> None:
    """Show all that is known of a recording."""
    from admin.connection import with_database
    from admin.recordings import show_recording

    with_database(lambda database, _: show_recording(database, record_id, style))


@app.command("publish")
def publish(record_ids: RecordIds, dry_run: DryRun = False) -> None:
    """Publish recordings."""
    _change("publish", record_ids, dry_run=dry_run)


@app.command("unpublish")
def unpublish(record_ids: RecordIds, dry_run: DryRun = False) -> None:
    """Unpublish recordings: nobody can watch them, at once."""
    _change("unpublish", record_ids, dry_run=dry_run)


@app.command("protect")
def protect(
    record_ids: RecordIds,
    off: Annotated[bool, typer.Option("--off", help="Take the protection away.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Protect recordings: they open by links that work once."""
    _change("unprotect" if off else "protect", record_ids, dry_run=dry_run)


@app.command("delete")
def delete(record_ids: RecordIds, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Delete recordings. Their files stay in the trash for RECORDING_TRASH_DAYS."""
    if not (yes or dry_run):
        typer.confirm(f"Delete {len(record_ids)} recordings?", abort=True)
    _change("delete", record_ids, dry_run=dry_run)


@app.command("restore")
def restore(record_ids: DeletedIds, dry_run: DryRun = False) -> None:
    """Bring deleted recordings back from the trash, unpublished."""
    _change("restore", record_ids, dry_run=dry_run)


@app.command("assign")
def assign(
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="Name or id.", autocompletion=complete_tenant_names)],
    record_ids: OptionalRecordIds = None,
    everything: Annotated[bool, typer.Option("--all", help="All recordings that are of no tenant.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Give recordings to a tenant."""
    if bool(record_ids) == everything:
        raise typer.BadParameter("name the recordings to assign, or give --all")
    from admin.connection import with_database
    from admin.recording_changes import assign

    with_database(lambda database, _: assign(database, tenant, record_ids or [], dry_run=dry_run))


@app.command("import")
def import_archives(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", exists=True, dir_okay=False, help="Archives (tar).")],
    tenant: GivenTenant = None,
    force: Force = False,
) -> None:
    """Import archives now. The files stay where they are."""
    if others := [str(file) for file in files if not file.is_file()]:
        raise typer.BadParameter(f"{', '.join(others)}: only files are imported")
    from admin.connection import with_database
    from admin.import_archives import import_archives

    with_database(lambda database, settings: import_archives(database, settings, files, tenant=tenant, force=force))


@app.command("purge")
def purge(
    days: Annotated[
        int | None, typer.Option("--days", min=0, help="Deleted so long ago; RECORDING_TRASH_DAYS by default.")
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Remove the files of deleted recordings for good."""
    from admin.connection import with_database
    from admin.recording_changes import purge

    with_database(lambda database, settings: purge(database, settings, days, yes=yes, dry_run=dry_run))


@app.command("adopt-storage")
def adopt_storage(yes: Yes = False) -> None:
    """Take the directories of the settings for the storage of this installation: after it was moved to a new one."""
    if not yes:
        typer.confirm("Are the directories of recordings mounted, and all recordings in them?", abort=True)
    from admin.connection import with_database
    from admin.recording_changes import adopt_storage

    with_database(adopt_storage)


@quarantine.command("list")
def list_quarantine(style: Style = Format.TABLE, watch: Watch = None) -> None:
    """List refused archives, and why."""
    from admin.connection import with_database
    from admin.imports import list_quarantine
    from admin.output import show, until_interrupted

    with until_interrupted(watch):
        with_database(lambda database, _: show(lambda: list_quarantine(database), style, watch))


@quarantine.command("retry")
def retry(
    ids: OptionalArchiveIds = None,
    everything: Annotated[bool, typer.Option("--all", help="All that were refused.")] = False,
    tenant: GivenTenant = None,
    force: Force = False,
    dry_run: DryRun = False,
) -> None:
    """Try refused archives again."""
    if bool(ids) == everything:
        raise typer.BadParameter("name the archives to retry, or give --all")
    from admin.connection import with_database
    from admin.imports import RetryOptions, retry_quarantined

    options = RetryOptions(tenant=tenant, force=force, dry_run=dry_run)
    with_database(lambda database, _: retry_quarantined(database, ids or [], options))


@quarantine.command("remove")
def remove(
    ids: ArchiveIds,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Remove refused archives for good."""
    if not (yes or dry_run):
        typer.confirm(f"Remove {len(ids)} archives for good?", abort=True)
    from admin.connection import with_database
    from admin.imports import remove_quarantined

    with_database(lambda database, _: remove_quarantined(database, ids, dry_run=dry_run))


def _change(verb: str, record_ids: list[str], *, dry_run: bool) -> None:
    from admin.connection import with_database
    from admin.recording_changes import change

    with_database(lambda database, settings: change(database, settings, verb, record_ids, dry_run=dry_run))
