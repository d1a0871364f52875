"""How lists are printed: as a table for people; as JSON, YAML or CSV with stable names for programs; once, or again and again."""

import asyncio
import csv
import io
import json
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import yaml
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from admin.commands.arguments import Format
from meetingpool.database.engine import DatabaseUnavailable
from meetingpool.operations.records import iso_time as iso_time
from meetingpool.operations.records import plain as plain

Record = Mapping[str, Any]
# Wider than any table: what is not a terminal gets whole lines.
_UNLIMITED = 10_000
# Between two columns.
_GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table: its heading, and what it shows of a record. What can be spared goes from a narrow terminal."""

    heading: str
    cell: Callable[[Record], object]
    is_number: bool = False
    can_be_spared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """`records` have the stable `names`, in their order.

    `summary` is the last line of the table; `when_empty` stands for one without rows.
    """

    names: Sequence[str]
    records: Sequence[Record]
    columns: Sequence[Column]
    when_empty: str
    summary: str = ""


async def show(fetch: Callable[[], Awaitable[Listing]], style: Format, every: float | None = None) -> None:
    """Prints what `fetch` gives; again each `every` seconds, until interrupted, if that is given."""
    if every is None:
        write(await fetch(), style)
    elif style is Format.TABLE and sys.stdout.isatty():
        await _redraw(fetch, every)
    else:
        await _repeat(fetch, style, every)


@contextmanager
def until_interrupted(watch: float | None = 0.0) -> Iterator[None]:
    """Being interrupted is how what runs on and on ends: quietly, and well. Not so for a command that is not to `watch`."""
    try:
        yield
    except KeyboardInterrupt:
        if watch is None:
            raise


def write(listing: Listing, style: Format, *, is_one_of_many: bool = False) -> None:
    """To standard output. As one of many, JSON is one line and YAML one document of a stream."""
    if style is Format.TABLE:
        console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _UNLIMITED)
        console.print(as_table(listing, console.width))
        return
    records = [plain(record) for record in listing.records]
    sys.stdout.write(as_text(listing.names, records, style, is_one_of_many=is_one_of_many))
    sys.stdout.flush()


def write_record(record: Record, style: Format) -> None:
    """One record on its own: a table has a row for each name, JSON and YAML an object."""
    if style in (Format.JSON, Format.YAML):
        shown = plain(record)
        sys.stdout.write(json.dumps(shown, indent=2) + "\n" if style is Format.JSON else _as_yaml(shown))
        return
    if style is Format.CSV:
        sys.stdout.write(as_text(tuple(record), [plain(record)], style))
        return
    columns = [Column("NAME", lambda row: row["name"]), Column("VALUE", lambda row: row["value"])]
    rows = [{"name": name, "value": value} for name, value in plain(record).items()]
    write(Listing(names=("name", "value"), records=rows, columns=columns, when_empty=""), style)


def as_table(listing: Listing, width: int) -> RenderableType:
    """The table, in at most `width` characters if that can be."""
    if not listing.records:
        return Text(listing.when_empty)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP // 2), header_style="bold")
    columns = _fitting(listing, width)
    for column in columns:
        table.add_column(column.heading, justify="right" if column.is_number else "left", no_wrap=True)
    for record in listing.records:
        table.add_row(*(Text(_in_cell(column.cell(record))) for column in columns))
    return Group(table, Text(listing.summary)) if listing.summary else table


def as_text(names: Sequence[str], records: Sequence[dict[str, Any]], style: Format, *, is_one_of_many: bool = False) -> str:
    """The records as JSON, YAML or CSV."""
    match style:
        case Format.JSON:
            return json.dumps(records, indent=None if is_one_of_many else 2) + "\n"
        case Format.YAML:
            return ("---\n" if is_one_of_many else "") + _as_yaml(records)
        case _:
            return _as_csv(names, records)


def ago(moment: datetime | None, now: float) -> str:
    """How long ago `moment` was, in words; `now` in seconds since 1970."""
    if moment is None:
        return "never"
    seconds = max(0, round(now - moment.timestamp()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


async def _redraw(fetch: Callable[[], Awaitable[Listing]], every: float) -> None:
    with Live(auto_refresh=False) as live:
        while True:
            try:
                live.update(as_table(await fetch(), live.console.width), refresh=True)
            except DatabaseUnavailable as error:
                live.update(Text(str(error)), refresh=True)
            await asyncio.sleep(every)


async def _repeat(fetch: Callable[[], Awaitable[Listing]], style: Format, every: float) -> None:
    while True:
        write(await fetch(), style, is_one_of_many=True)
        await asyncio.sleep(every)


def _fitting(listing: Listing, width: int) -> list[Column]:
    columns = list(listing.columns)
    widths = {
        column.heading: max(cell_len(text) for text in (column.heading, *(_in_cell(column.cell(row)) for row in listing.records)))
        for column in columns
    }
    for column in reversed(listing.columns):
        needed = sum(widths[shown.heading] + _GAP for shown in columns) - _GAP
        if column.can_be_spared and needed > width:
            columns.remove(column)
    return columns


def _in_cell(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def _as_yaml(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)


def _as_csv(names: Sequence[str], records: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_in_cell(record[name]) for name in names] for record in records)
    return text.getvalue()
