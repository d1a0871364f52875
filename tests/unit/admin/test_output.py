"""How lists are printed."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
import yaml
from rich.console import Console

from admin.commands.arguments import Format
from admin.output import Column, Listing, ago, as_table, plain, write, write_record
from meetingpool.domain.servers import AdminState

NAMES = ("id", "state", "tags", "seen")
RECORD: dict[str, Any] = {
    "id": "a [b]",
    "state": AdminState.ENABLED,
    "tags": ["x", "y"],
    "seen": datetime(2026, 11, 20, 8, 0, 1, tzinfo=UTC),
}
PLAIN = {"id": "a [b]", "state": "enabled", "tags": ["x", "y"], "seen": "2026-11-20T08:00:01.000Z"}


def listing(records: Sequence[dict[str, Any]], summary: str = "") -> Listing:
    columns = [Column("ID", lambda row: row["id"]), Column("TAGS", lambda row: row["tags"])]
    return Listing(names=NAMES, records=records, columns=columns, when_empty="Nothing here", summary=summary)


def test_json_is_an_array_of_plain_values(capsys: pytest.CaptureFixture[str]) -> None:
    write(listing([RECORD]), Format.JSON)

    assert json.loads(capsys.readouterr().out) == [PLAIN]


def test_json_of_a_watch_has_one_document_in_each_line(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        write(listing([RECORD, RECORD]), Format.JSON, is_one_of_many=True)

    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [[PLAIN, PLAIN]] * 2


def test_yaml_is_a_list_of_plain_values(capsys: pytest.CaptureFixture[str]) -> None:
    write(listing([RECORD]), Format.YAML)

    assert yaml.safe_load(capsys.readouterr().out) == [PLAIN]


def test_csv_has_the_names_even_without_rows(capsys: pytest.CaptureFixture[str]) -> None:
    write(listing([]), Format.CSV)
    write(listing([RECORD]), Format.CSV)

    header = "id,state,tags,seen\n"
    assert capsys.readouterr().out == header + header + 'a [b],enabled,"x, y",2026-11-20T08:00:01.000Z\n'


def test_table_shows_text_as_it_is_and_ends_with_the_summary(capsys: pytest.CaptureFixture[str]) -> None:
    write(listing([RECORD], summary="1 in all"), Format.TABLE)

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["ID", "TAGS"], ["a", "[b]", "x,", "y"], ["1", "in", "all"]]


def test_table_that_is_not_on_a_terminal_cuts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    write(listing([RECORD | {"id": "i" * 300}]), Format.TABLE)

    assert "i" * 300 + "  x, y" in capsys.readouterr().out


def test_table_without_rows_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    write(listing([]), Format.TABLE)

    assert capsys.readouterr().out == "Nothing here\n"


def test_narrow_table_leaves_out_what_can_be_spared_from_the_right() -> None:
    columns = [
        Column("ID", lambda row: row["id"]),
        Column("SEEN", lambda row: row["state"], can_be_spared=True),
        Column("TAGS", lambda row: row["tags"], can_be_spared=True),
    ]
    listing = Listing(names=NAMES, records=[RECORD], columns=columns, when_empty="")

    def headings(width: int) -> list[str]:
        console = Console(width=width, file=StringIO())
        with console.capture() as captured:
            console.print(as_table(listing, width))
        return captured.get().splitlines()[0].split()

    assert headings(20) == ["ID", "SEEN", "TAGS"]
    assert headings(19) == ["ID", "SEEN"]
    assert headings(13) == ["ID"]


def test_one_record_is_an_object_in_json_and_rows_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    write_record(RECORD, Format.JSON)
    assert json.loads(capsys.readouterr().out) == PLAIN

    write_record(RECORD, Format.TABLE)
    assert ["state", "enabled"] in [line.split() for line in capsys.readouterr().out.splitlines()]


def test_times_are_written_in_utc() -> None:
    berlin = datetime.fromisoformat("2026-11-20T09:00:01+01:00")

    assert plain({"seen": berlin}) == {"seen": "2026-11-20T08:00:01.000Z"}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s ago"),
        (4.4, "4 s ago"),
        (119, "119 s ago"),
        (130, "2 min ago"),
        (7300, "2 h ago"),
        (260_000, "3 d ago"),
        (-5, "0 s ago"),
    ],
)
def test_ages_are_told_in_words(seconds: float, words: str) -> None:
    moment = datetime(2026, 11, 20, tzinfo=UTC)

    assert ago(moment, moment.timestamp() + seconds) == words


def test_a_time_that_never_was_is_never() -> None:
    assert ago(None, 0.0) == "never"
