"""Archives on their way to become recordings, and those that were refused."""

from gateway.dashboard.answers import Done, View
from gateway.dashboard.visits import Visit
from meetingpool.database.imports import ImportState, list_imports
from meetingpool.domain.refusals import Invalid
from meetingpool.operations.changes import changing
from meetingpool.operations.quarantine import refused_archives, remove_quarantined, retry_quarantined
from meetingpool.operations.recording_records import import_record, refused_record


async def show_imports(visit: Visit) -> View:
    async with visit.database.transaction() as connection:
        found = await list_imports(connection, [ImportState.WAITING, ImportState.WORKING, ImportState.QUARANTINED])
    values = {
        "importing": [import_record(each) for each in found if each.state is not ImportState.QUARANTINED],
        "refused": [refused_record(each) for each in found if each.state is ImportState.QUARANTINED],
    }
    return View(template="imports.html", title="Imports", values=values)


async def retry(visit: Visit) -> Done:
    """Raises NoSuchArchive or NoSuchTenant."""
    async with changing(visit.database, visit.actor) as change:
        found = await retry_quarantined(
            change, numbers(visit), tenant=visit.given("tenant") or None, force=bool(visit.given("force"))
        )
    names = found[0].name if len(found) == 1 else f"{len(found)} archives"
    return Done(message=f"{names}: tried again by the recordings worker")


async def remove(visit: Visit) -> Done:
    """Raises NoSuchArchive or ArchiveStays."""
    async with visit.database.transaction() as connection:
        found = await refused_archives(connection, numbers(visit))
    for each in found:
        await remove_quarantined(visit.database, visit.actor, each)
    return Done(message=f"{found[0].name} is removed" if len(found) == 1 else f"{len(found)} archives are removed")


def numbers(visit: Visit) -> list[int]:
    """The numbers that were ticked. Raises Invalid."""
    chosen = visit.chosen()
    if not all(each.isascii() and each.isdecimal() and len(each) < 18 for each in chosen):
        raise Invalid("That is not a number")
    return list(map(int, chosen))
