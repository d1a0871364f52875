"""What `meetings show --why` prints: in words and a table for people, whole for programs, the candidates for spreadsheets."""

import sys
from collections.abc import Iterator

import typer

from admin.commands.arguments import Format
from admin.output import Column, Listing, Record, as_text, iso_time, plain, write, write_record
from meetingpool.database.engine import Database
from meetingpool.domain.reasons import Cause, Source
from meetingpool.operations.placement_records import CandidateRecord, PlacementRecord, ReasonRecord, explain_placement
from meetingpool.operations.records import names_of

_COLUMNS = [
    Column("SERVER", lambda each: each["server"]),
    Column("CARRIED", lambda each: _figure(each["carried"]), is_number=True),
    Column("KEPT", lambda each: _figure(each["kept"]), is_number=True),
    Column("HANDICAP", lambda each: _figure(each["handicap"]), is_number=True),
    Column("COMPARED", lambda each: _figure(each["compared"]), is_number=True),
    Column("REMARK", lambda each: _remark(each)),
]
_SOURCES = {
    Source.ROOM: "by the room's own meetings",
    Source.HINT: "by what the front end says",
    Source.TYPICAL: "as is typical where nothing is known of the room",
}
_CAUSES = {
    Cause.REFUSED: "refused the create",
    Cause.GONE: "no longer had it",
    Cause.DEAD: "was dead",
}


async def show_placement(database: Database, meeting_id: str, tenant: str | None, style: Format) -> None:
    """Prints why the meeting got its server, the last time. Raises NoSuchMeeting or AmbiguousMeeting."""
    async with database.transaction() as connection:
        placement = await explain_placement(connection, meeting_id, tenant)
    candidates = placement["why"]["candidates"] if placement["why"] else []
    match style:
        case Format.TABLE:
            typer.echo("\n".join(_words(placement)))
            if candidates:
                write(Listing(names=(), records=candidates, columns=_COLUMNS, when_empty=""), style)
        case Format.CSV:
            sys.stdout.write(as_text(names_of(CandidateRecord), [plain(each) for each in candidates], style))
        case _:
            write_record(placement, style)


def _words(placement: PlacementRecord) -> Iterator[str]:
    of = f"Meeting {placement['id']} of {placement['tenant']}"
    at = iso_time(placement["placed_at"])
    if placement["over"]:
        yield f"{of} does not run; the last time, at {at}, {placement['server']} got it"
    else:
        yield f"{of} was placed on {placement['server']} at {at}"
    if why := placement["why"]:
        yield from _reasons(why)
    else:
        yield "Nothing is known of the reason: it was placed before reasons were kept"


def _reasons(why: ReasonRecord) -> Iterator[str]:
    if why["moved_from"] and why["moved_because"]:
        yield f"Moved there because {why['moved_from']} {_CAUSES[why['moved_because']]}"
    yield f"{_figure(why['expected_users'])} people expected, {_SOURCES[why['source']]}"
    if why["tags"]:
        yield f"Tags asked for: {', '.join(why['tags'])}{' (required)' if why['tags_required'] else ''}"
    if why["tenant_tags"] is not None:
        yield f"The tenant may use servers with these tags: {', '.join(why['tenant_tags'])}"
    if why["regions"]:
        yield f"Regions, the nearest first: {', '.join(why['regions'])}"
    yield (
        f"{why['open_servers']} of {why['servers']} servers took new meetings, {why['looked_at']} of these were compared, "
        f"the least loaded first{_shown(why)}\n"
    )


def _shown(why: ReasonRecord) -> str:
    shown = len(why["candidates"])
    return f" ({shown} are shown)" if shown < why["looked_at"] else ""


def _remark(candidate: Record) -> str:
    return ", ".join(filter(None, ("chosen" if candidate["chosen"] else "", candidate["remark"])))


def _figure(number: float) -> str:
    return f"{number:g}" if number < 1e5 else f"{number:.0f}"
