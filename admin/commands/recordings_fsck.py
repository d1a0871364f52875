"""`meetingpool recordings fsck` and `repair`"""

from typing import Annotated

import typer

from admin.commands.arguments import DryRun, Format, Style, complete_tenant_names
from meetingpool.domain.library_faults import Fault


def fsck(
    faults: Annotated[list[Fault] | None, typer.Argument(metavar="[CLASS…]", help="Only findings of these classes.")] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Repair what is found, so that nothing is lost.")] = False,
    adopt: Annotated[bool, typer.Option("--adopt", help="With --repair: take in trees that are not in the database.")] = False,
    accept_files: Annotated[
        bool, typer.Option("--accept-files", help="With --repair: what is in a tree is what should be there from now on.")
    ] = False,
    hashes: Annotated[bool, typer.Option("--hashes", help="Read all files, and compare what is in them.")] = False,
    tenant: Annotated[
        str | None,
        typer.Option(
            "--tenant", help="With --adopt: whose they are, where nothing proves it.", autocompletion=complete_tenant_names
        ),
    ] = None,
    style: Style = Format.TABLE,
) -> None:
    """Compare the database of recordings with their files; change nothing without --repair. Exit code 1: something is wrong."""
    if (adopt or accept_files) and not repair:
        raise typer.BadParameter("--adopt and --accept-files say how to repair: give --repair too")
    if tenant and not adopt:
        raise typer.BadParameter("--tenant says whose adopted recordings are: give --repair --adopt too")
    from admin.connection import with_database
    from admin.fsck import FsckOptions
    from admin.fsck import fsck as run

    options = FsckOptions(
        faults=faults or (), repair=repair, adopt=adopt, accept_files=accept_files, with_hashes=hashes, tenant=tenant
    )
    if not with_database(lambda database, settings: run(database, settings, options, style)):
        raise typer.Exit(1)


def repair(dry_run: DryRun = False, style: Style = Format.TABLE) -> None:
    """Put right what can be repaired of recordings without loss: the same as `fsck --repair`."""
    fsck(repair=not dry_run, style=style)
