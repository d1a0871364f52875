import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from meetingpool.logs import configure_logs, get_logger, redact

CANARY = "canary-f3a9"
both_formats = pytest.mark.parametrize("log_format", ["json", "console"])


@pytest.fixture(autouse=True)
def logs_left_as_they_were() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def written(capsys: pytest.CaptureFixture[str]) -> list[str]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def redacted(**fields: Any) -> dict[str, Any]:
    return dict(redact(None, "info", fields))


def connect_with(secret: str) -> None:
    url = f"http://bbb.example/api/create?meetingID=room&checksum={secret}"
    raise ConnectionError(f"400, message='Bad status line', url='{url}'")


@pytest.mark.parametrize(
    "name",
    [
        "secret",
        "password",
        "checksum",
        "token",
        "moderatorPW",
        "attendeePW",
        "sessionToken",
        "Authorization",
        "cookie",
        "database_url",
    ],
)
def test_fields_that_hold_secrets_are_blanked(name: str) -> None:
    assert redacted(**{name: CANARY}) == {name: "[redacted]"}


def test_value_of_any_kind_is_blanked() -> None:
    assert redacted(password=12345, token=None, secret=[CANARY]) == {
        "password": "[redacted]",
        "token": "[redacted]",
        "secret": "[redacted]",
    }


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("https://bbb.example/api/join?checksum=1", "https://bbb.example/api/join"),
        ("https://bbb.example/api/", "https://bbb.example/api/"),
        ("is it there?", "is it there?"),
        (7, 7),
        (None, None),
    ],
)
def test_query_of_a_url_is_cut_off_and_all_else_is_shown(value: object, shown: object) -> None:
    assert redacted(event="asked", value=value) == {"event": "asked", "value": shown}


@pytest.mark.parametrize(
    "value",
    [
        f"cannot connect to postgresql://meetingpool:{CANARY}@db.example/pool",
        [f"https://bbb.example/api/join?checksum={CANARY}"],
        {"secret": CANARY},
        {"server": {"url": f"https://bbb.example/?checksum={CANARY}"}},
        f"meetingID=room&checksum={CANARY}",
    ],
)
def test_secrets_are_taken_out_wherever_they_hide(value: object) -> None:
    assert CANARY not in repr(redacted(value=value))


@both_formats
def test_fields_are_redacted_in_what_is_written(capsys: pytest.CaptureFixture[str], log_format: str) -> None:
    configure_logs(process="gateway", log_format=log_format, level="info")

    get_logger().info("server_asked", server="s1", secret=CANARY, url=f"http://s1.example/api?checksum={CANARY}")

    (line,) = written(capsys)
    assert "server_asked" in line
    assert "http://s1.example/api" in line
    assert CANARY not in line


@both_formats
def test_exceptions_are_written_without_the_secrets_they_name_or_pass_by(
    capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    configure_logs(process="gateway", log_format=log_format, level="info")

    try:
        connect_with(CANARY)
    except ConnectionError:
        get_logger().exception("call_failed")

    text = "\n".join(written(capsys))
    assert "call_failed" in text
    assert "connect_with" in text
    assert CANARY not in text


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "a\x1b[31mb", "a\u2028b", "a\x00b", '"}\n{"event":"forged"}'])
def test_json_keeps_an_event_on_one_line_whatever_it_holds(capsys: pytest.CaptureFixture[str], text: str) -> None:
    configure_logs(process="gateway", log_format="json", level="info")

    get_logger().warning("meeting_named", name=text)

    (line,) = written(capsys)
    event = json.loads(line)
    assert (event["event"], event["level"], event["process"], event["name"]) == ("meeting_named", "warning", "gateway", text)
    assert event["timestamp"].endswith("Z")


def test_console_shows_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(process="gateway", log_format="console", level="info")

    get_logger().info("meeting_named", name="a\nforged\x1b[31m")

    (line,) = written(capsys)
    assert "\x1b" not in line


def test_exception_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(process="gateway", log_format="json", level="info")

    try:
        connect_with("")
    except ConnectionError:
        get_logger().exception("call_failed")

    (line,) = written(capsys)
    assert "Traceback" in json.loads(line)["exception"]


def test_levels_below_the_chosen_one_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(process="gateway", log_format="json", level="warning")

    get_logger().info("quiet")
    get_logger().warning("loud")

    assert [json.loads(line)["event"] for line in written(capsys)] == ["loud"]


def test_bound_fields_are_on_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(process="gateway", log_format="json", level="info")

    with structlog.contextvars.bound_contextvars(request_id="r1"):
        get_logger().info("one")
        get_logger().info("two")

    assert [json.loads(line)["request_id"] for line in written(capsys)] == ["r1", "r1"]


def test_libraries_are_heard_from_warnings_up(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(process="gateway", log_format="console", level="info")

    logging.getLogger("a.library").info("quiet")
    logging.getLogger("a.library").warning("loud")

    (line,) = written(capsys)
    assert "loud" in line


def test_what_libraries_log_is_redacted_and_in_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(process="gateway", log_format="json", level="info")
    logging.getLogger("aiohttp.client").warning("cannot read http://bbb.example/api?checksum=%s", CANARY)
    (line,) = written(capsys)
    assert CANARY not in line
    assert json.loads(line)["logger"] == "aiohttp.client"
