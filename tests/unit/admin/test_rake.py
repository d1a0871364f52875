"""Tasks, as they are typed."""

import pytest
from typer.testing import CliRunner

from admin.app import app
from admin.rake.calls import number_of, parse_task
from admin.rake.tasks import TASKS


@pytest.mark.parametrize(
    ("typed", "arguments"),
    [
        ("t", []),
        ("t[]", []),
        ("t[a]", ["a"]),
        ("t[a,b]", ["a", "b"]),
        ("t[ a , b c ]", ["a", "b c"]),
        ("t[a,,c]", ["a", "", "c"]),
        ("t[a,]", ["a", ""]),
        ("t[,]", ["", ""]),
        (r"t[a\,b,c]", ["a,b", "c"]),
        (r"t[a\\,b]", ["a\\", "b"]),
        (r"t[a\,]", ["a,"]),
        ("t[http://h/?a=[b]]", ["http://h/?a=[b]"]),
    ],
)
def test_arguments_are_read_as_rake_reads_them(typed: str, arguments: list[str]) -> None:
    assert parse_task(typed) == ("t", arguments)


@pytest.mark.parametrize(
    ("text", "number"), [("2", 2.0), ("2.5x", 2.5), ("-1", -1.0), ("much", 0.0), ("", 0.0), (".5", 0.0), ("1e2", 100.0)]
)
def test_numbers_are_read_as_ruby_reads_them(text: str, number: float) -> None:
    assert number_of(text) == number


def test_without_a_task_all_are_listed() -> None:
    listed = CliRunner().invoke(app, ["rake"])
    assert listed.exit_code == 0
    assert [line.split()[1].partition("[")[0] for line in listed.stdout.splitlines()] == list(TASKS)
    assert "rake servers:add[url,secret,load_multiplier,tag]" in listed.stdout
    assert CliRunner().invoke(app, ["rake", "-T"]).stdout == listed.stdout


def test_unknown_task_is_named() -> None:
    result = CliRunner().invoke(app, ["rake", "servers:fly[one]"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Don't know how to build task 'servers:fly': `meetingpool rake` lists them all\n"
