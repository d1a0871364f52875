import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

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
    logging.getLogger("meetingpool").setLevel(logging.NOTSET)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(capsys: pytest.CaptureFixture[str]) -> list[str]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def redacted(**fields: Any) -> dict[str, Any]:
    return redact(fields)


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
        "lrs_password",
        "client_secret",
        "Set-Cookie",
        "api_token",
        "proxy-authorization",
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
        f"GET /bigbluebutton/api/join?fullName={CANARY} HTTP/1.1",
        f"GET /bigbluebutton/api/join?fullName=Ann&password={CANARY} HTTP/1.1",
        f"Authorization: Bearer {CANARY}",
        f"authorization: {CANARY}",
        f"sent bearer {CANARY} and was refused",
        f"Cookie: a=b; session={CANARY}",
        f"Set-Cookie: session={CANARY}; HttpOnly",
        f'{{"lrs_password": "{CANARY}", "n": 1}}',
        f"{{'client_secret': '{CANARY}'}}",
        f'{{"token":{CANARY}}}',
        f"lrs_token={CANARY}",
        f"mp_{CANARY}",
        f"the token mp_{CANARY} is unknown",
        f"/bigbluebutton/callbacks/12/meeting-ended/{CANARY}",
        f"http://gateway/t/a/bigbluebutton/textTrack/{CANARY}/record/captions_en.vtt",
        f"PATCH /bigbluebutton/uploads/server-1/record/{CANARY}",
        f"{'x' * 4090} password={CANARY} {'y' * 9000}",
        f"{'x' * 9000} password={CANARY}{'z' * 4090}",
    ],
)
def test_secrets_are_taken_out_wherever_they_hide(value: object) -> None:
    assert CANARY not in repr(redacted(value=value))


@pytest.mark.parametrize(
    "value",
    [
        "the server refuses our secret (checksumError)",
        "There is no token: set one",
        "/t/a/bigbluebutton/api/join",
        "basic",
        "a cookie is not needed",
        "https://user@host.example/path",
        "10:15:00 is when the password expires",
    ],
)
def test_what_only_speaks_of_secrets_is_shown(value: str) -> None:
    assert redacted(value=value) == {"value": value}


@pytest.mark.parametrize("piece", ["a-", "a://", "=/", "://:", '"a', "bearer ", "(/", "token", "'token':", "cookie:", "/?"])
def test_long_text_is_shortened_whatever_it_is_made_of(piece: str) -> None:
    assert len(redacted(value=piece * 100_000)["value"]) < 20_000


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


@pytest.mark.parametrize(
    "text", ["a\nforged", "a\r\nb", "a\x1b[31mb", "a\u2028b", "a\x00b", "a\x9b31mb", "a\u202eb", "", "a b=c"]
)
def test_console_shows_a_value_as_one_word_or_in_quotes(capsys: pytest.CaptureFixture[str], text: str) -> None:
    configure_logs(process="gateway", log_format="console", level="info")

    get_logger().info("meeting_named", name=text, other="r\xf6\xf6m-1", many=[text])

    (line,) = written(capsys)
    assert line.isprintable()
    assert line.endswith(f" meeting_named                  name={text!r} other=r\xf6\xf6m-1 many={[text]!r} process=gateway")


def test_traceback_stands_below_its_event_and_cannot_pass_for_another(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(process="gateway", log_format="console", level="info")

    forged = "a\n2026-01-01T00:00:00Z [info    ] forged\x1b[31m"

    get_logger().error("call_failed", exc_info=ValueError(forged))

    first, *below = written(capsys)
    assert "call_failed" in first
    assert below[0] == "    ValueError: a"
    assert len(below) == 2
    assert all(line.startswith("    ") and line.isprintable() for line in below)


@both_formats
@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "critical"])
def test_only_trouble_is_in_colour_and_only_for_people(monkeypatch: pytest.MonkeyPatch, log_format: str, level: str) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    configure_logs(process="gateway", log_format=log_format, level="debug")

    getattr(get_logger(), level)("something_happened")

    assert "something_happened" in terminal.getvalue()
    assert ("\x1b[" in terminal.getvalue()) == (log_format == "console" and level in ("warning", "error", "critical"))


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


@pytest.mark.parametrize(("level", "heard"), [("debug", ["w", "e"]), ("warning", ["w", "e"]), ("error", ["e"])])
def test_libraries_are_heard_from_warnings_up_or_less(capsys: pytest.CaptureFixture[str], level: str, heard: list[str]) -> None:
    configure_logs(process="gateway", log_format="json", level=level)

    library = logging.getLogger("a.library")
    library.info("i")
    library.warning("w")
    library.error("e")

    assert [json.loads(line)["message"] for line in written(capsys)] == heard


@both_formats
def test_what_libraries_log_is_redacted_and_in_the_same_form(capsys: pytest.CaptureFixture[str], log_format: str) -> None:
    configure_logs(process="gateway", log_format=log_format, level="info")

    try:
        connect_with(CANARY)
    except ConnectionError:
        logging.getLogger("a.client").exception("cannot read http://bbb.example/api?checksum=%s", CANARY)

    text = "\n".join(written(capsys))
    assert "library_log" in text
    assert "a.client" in text
    assert "cannot read http://bbb.example/api" in text
    assert "connect_with" in text
    assert CANARY not in text


def test_what_libraries_log_in_a_wrong_way_is_said_to_be_missing(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(process="gateway", log_format="json", level="info")

    logging.getLogger("a.library").warning("%d of %d", CANARY)

    (line,) = written(capsys)
    assert (json.loads(line)["event"], json.loads(line)["logger"]) == ("line_not_written", "a.library")


def test_nobody_is_disturbed_when_logs_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    monkeypatch.setattr("sys.stderr", closed)
    configure_logs(process="gateway", log_format="json", level="info")
    closed.close()

    get_logger().info("unheard")
