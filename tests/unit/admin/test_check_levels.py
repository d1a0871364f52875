"""Thresholds and the line of a monitoring plugin."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from admin.app import app
from admin.check_levels import Figure, Level, Outcome, read_range, worst


@pytest.mark.parametrize(
    ("text", "fine", "alerting"),
    [
        ("10", [0, 10], [-1, 10.5]),
        ("10:", [10, 1e9], [9.9]),
        ("~:10", [-1e9, 10], [11]),
        ("5:10", [5, 10], [4, 11]),
        ("@5:10", [4, 11], [5, 10]),
        ("0", [0], [1]),
    ],
)
def test_range_alerts_as_monitoring_expects(text: str, fine: list[float], alerting: list[float]) -> None:
    limit = read_range(text)
    assert not any(map(limit.alerts, fine))
    assert all(map(limit.alerts, alerting))


@pytest.mark.parametrize("text", ["", ":", "@", "x", "10:5", "1:2:3", "1e3"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no threshold"):
        read_range(text)


def test_line_holds_level_sentence_and_figures() -> None:
    figure = Figure(name="away", value=2, warning=read_range("0"), critical=read_range("5:"))
    outcome = Outcome(level=figure.level, sentence="two | away\nnow", figures=[figure, Figure(name="age", value=1.5, unit="s")])
    assert str(outcome) == "CRITICAL - two / away now|away=2;0;5:;0 age=1.5s;;;0"


def test_what_is_broken_is_worse_than_what_is_not_known() -> None:
    assert worst([Level.UNKNOWN, Level.CRITICAL, Level.OK]) is Level.CRITICAL
    assert worst([]) is Level.OK


@pytest.mark.parametrize("arguments", [["nothing"], ["servers", "--warn"], ["servers", "-t", "0"], ["servers", "-w", "x"]])
def test_wrong_usage_is_unknown(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, ["check", *arguments])
    assert result.exit_code == 3
    assert result.stdout.startswith("UNKNOWN - ")


def test_database_away_is_critical_and_wrong_settings_are_unknown() -> None:
    env = {"MEETINGPOOL_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    away = CliRunner(env=env).invoke(app, ["check"])
    assert (away.exit_code, away.stderr) == (2, "")
    assert away.stdout.startswith("CRITICAL - The database does not answer.")

    wrong = CliRunner(env={"PORT": "many"}).invoke(app, ["check", "servers"])
    assert wrong.exit_code == 3
    assert wrong.stdout.startswith("UNKNOWN - Settings cannot be used: MEETINGPOOL_PORT: ")


def test_check_makes_no_database(tmp_path: Path) -> None:
    result = CliRunner(env={"MEETINGPOOL_DATABASE_URL": "", "MEETINGPOOL_DATA_DIR": str(tmp_path)}).invoke(app, ["check"])
    assert result.exit_code == 3
    assert result.stdout.startswith("UNKNOWN - there is no database: ")
    assert list(tmp_path.iterdir()) == []
