"""The command line as a whole: usage errors and refusals."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from admin.app import app, with_default_interval


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["status", "--watch"], ["status", "--watch", "2"]),
        (["status", "--watch", "--format", "json"], ["status", "--watch", "2", "--format", "json"]),
        (["status", "-w", "5"], ["status", "-w", "5"]),
        (["status", "--watch=1"], ["status", "--watch=1"]),
        (["check", "poller", "-w", "~:30"], ["check", "poller", "-w", "~:30"]),
    ],
)
def test_watch_without_a_number_means_two_seconds(typed: list[str], meant: list[str]) -> None:
    assert with_default_interval(typed) == meant


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["servers", "enable"],
        ["servers", "set", "a"],
        ["servers", "set", "a", "--tag", "x", "--no-tags"],
        ["servers", "add", "http://a.example/", "--secret", "s", "--load-multiplier", "much"],
        ["servers", "add", "http://a.example/"],
        ["servers", "list", "--format", "xml"],
        ["meetings", "end"],
        ["meetings", "end", "a", "--all"],
    ],
)
def test_wrong_usage_ends_with_exit_code_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["servers", "add", "ftp://a", "--secret", "s"], "Server URL must start with http:// or https:// and name a host\n"),
        (
            ["servers", "add", "http://a", "--secret", "s", "--load-multiplier", "0"],
            "The load multiplier must be a number greater than 0, and 1000 at most; 2 makes each meeting count twice\n",
        ),
        (
            ["servers", "add", "http://a", "--secret", "s", "--id", "../x"],
            "A server's id must be made of letters, digits, dots, hyphens and underscores\n",
        ),
        (["servers", "set", "a", "--secret", " "], "The secret must not be empty; `bbb-conf --secret` on the server shows it\n"),
    ],
)
def test_refusal_is_one_sentence_on_standard_error_and_exit_code_1(arguments: list[str], sentence: str) -> None:
    result = CliRunner().invoke(app, arguments)

    assert (result.exit_code, result.stdout, result.stderr) == (1, "", sentence)


def test_wrong_setting_is_named() -> None:
    result = CliRunner(env={"PORT": "many"}).invoke(app, ["status"])

    assert result.exit_code == 1
    assert result.stderr.startswith("Settings cannot be used: MEETINGPOOL_PORT: ")


def test_database_out_of_reach_is_a_sentence() -> None:
    env = {"MEETINGPOOL_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    result = CliRunner(env=env).invoke(app, ["status"])

    assert result.exit_code == 1
    assert result.stderr.startswith("The database does not answer.")


def test_database_url_that_is_none_is_named() -> None:
    result = CliRunner(env={"MEETINGPOOL_DATABASE_URL": "mysql://secret@host/name"}).invoke(app, ["status"])

    assert result.exit_code == 1
    assert result.stderr.startswith("Settings cannot be used: MEETINGPOOL_DATABASE_URL: ")
    assert "secret" not in result.stderr


def test_commands_do_not_load_what_only_migrations_need() -> None:
    code = "import sys, admin.app, admin.connection, admin.output; print(sys.modules.keys() & {'alembic', 'sqlalchemy'})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout == "set()\n"
