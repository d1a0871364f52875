"""Logs: one event per line, an event name and fields, to standard error; secrets are taken out in one place.

An event is a record of the standard library's logging, as what libraries log is, so both take the same way out.
docs/decisions/0014-logs.md.
"""

import json
import logging
import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial, partialmethod
from typing import Any, TextIO

from meetingpool.request_ids import request_id

# What is called something with one of these in it, as `lrs_password`, be it a field, a parameter, a header or a key of JSON.
_SECRET_WORDS = r"authorization|checksum|cookie|database_url|password|secret|token|(?:attendee|moderator)pw"  # noqa: S105
_SECRET_NAME = re.compile(rf"(?i){_SECRET_WORDS}")
_NAME = rf"[\w-]{{0,40}}(?:{_SECRET_WORDS})[\w-]{{0,40}}"
# Of URLs, and of paths alone, as they stand in a request.
_QUERY = re.compile(r"((?:\w:/|(?<![^\s\"'=(<]))/[^\s?\"'<>]*)\?[^\s\"'<>]*")
_URL_PASSWORD = re.compile(r"://[^\s/@:]*:[^\s/@]*@")
# What proves in a path that somebody may do something.
_PROVING_PATH = re.compile(r"(/bigbluebutton/(?:callbacks|textTrack|uploads)/)[^\s?\"'<>]+")
_PARAMETER = re.compile(rf"(?i)\b({_NAME})=[^&\s\"'<>]+")
_JSON_VALUE = re.compile(rf"""(?i)(["']{_NAME}["']\s*:\s*)(?:"[^"]*"|'[^']*'|[^\s,}}\]]+)""")
_HEADER = re.compile(r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)(\s*:\s*)[^\r\n]+")
_CREDENTIALS = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}")
# Tokens of the management API, wherever they stand.
_API_TOKEN = re.compile(r"\bmp_[A-Za-z0-9_-]{8,}")
_HIDDEN = "[redacted]"
# More of a text is not logged: what somebody made long could keep us busy.
_LONGEST_TEXT = 8192
_COLOURS = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[1;31m"}
_NO_COLOUR = "\x1b[0m"
_EVENTS = logging.getLogger("meetingpool")


class EventLog:
    """Writes events: `log.info("server_went_offline", server=..., after_failures=3)`. The field `exc_info` is an exception."""

    def log(self, level: int, event: str, /, **fields: Any) -> None:
        exc_info = fields.pop("exc_info", None)
        _EVENTS.log(level, event, exc_info=exc_info, extra={"fields": fields})

    debug = partialmethod(log, logging.DEBUG)
    info = partialmethod(log, logging.INFO)
    warning = partialmethod(log, logging.WARNING)
    error = partialmethod(log, logging.ERROR)
    critical = partialmethod(log, logging.CRITICAL)
    exception = partialmethod(log, logging.ERROR, exc_info=True)


def get_logger() -> EventLog:
    return EventLog()


def configure_logs(*, process: str, log_format: str, level: str) -> None:
    """Sets up this process's logs. `log_format` is json or console; every line carries the name of the process."""
    lowest = logging.getLevelNamesMapping()[level.upper()]
    handler = _Writer(sys.stderr)
    render = json.dumps if log_format == "json" else partial(_console_line, in_colour=sys.stderr.isatty())
    handler.setFormatter(_Lines(process, render))
    logging.basicConfig(level=max(lowest, logging.WARNING), handlers=[handler], force=True)
    _EVENTS.setLevel(lowest)


def event_of(record: logging.LogRecord) -> dict[str, Any]:
    """The event in a record of ours or of a library, with its level and its time. Nothing is blanked yet."""
    fields = getattr(record, "fields", None)
    if fields is None:
        event = {"logger": record.name, "message": record.getMessage(), "event": "library_log"}
    else:
        event = {**fields, "event": record.msg}
    if (request := request_id()) is not None:
        event["request_id"] = request
    event["level"] = record.levelname.lower()
    event["timestamp"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    # Without the values of variables.
    if record.exc_info and record.exc_info[0]:
        event["exception"] = logging.Formatter().formatException(record.exc_info)
    return event


class _Writer(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Says that a line is missing. The standard library would show what could not be written, secrets and all."""
        if record.msg != "line_not_written":
            get_logger().error("line_not_written", logger=record.name)


class _Lines(logging.Formatter):
    def __init__(self, process: str, render: Callable[[dict[str, Any]], str]) -> None:
        super().__init__()
        self._process = process
        self._render = render

    def format(self, record: logging.LogRecord) -> str:
        return self._render(redact({**event_of(record), "process": self._process}))


def _console_line(event: dict[str, Any], *, in_colour: bool) -> str:
    """For people: one line, and the lines of a traceback below it."""
    time, level, name, trace = (event.pop(part, "") for part in ("timestamp", "level", "event", "exception"))
    colour = _COLOURS.get(level, "") if in_colour else ""
    fields = " ".join(f"{field}={_shown(value)}" for field, value in event.items())
    line = f"{time} {colour}[{level:<8}]{colour and _NO_COLOUR} {_shown(name):<30} {fields}"
    return "\n".join([line, *(f"    {below if below.isprintable() else repr(below)}" for below in trace.splitlines())])


def _shown(value: object) -> str:
    """In one line, in quotes where it could pass for something else."""
    return value if isinstance(value, str) and value.isprintable() and not set(value) & set(" '\"=") and value else repr(value)


def redact(event: Mapping[str, Any]) -> dict[str, Any]:
    """Blanks what holds secrets: fields by their names; in any text queries, passwords in URLs, parameters, headers, tokens."""
    return {name: _redacted(name, value) for name, value in event.items()}


def _redacted(name: object, value: Any) -> Any:
    if _SECRET_NAME.search(str(name)):
        return _HIDDEN
    match value:
        case str():
            return _redacted_text(value)
        case dict():
            return {key: _redacted(key, inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_redacted("", inner) for inner in value]
        case None | bool() | int() | float():
            return value
        case _:
            return _redacted_text(str(value))


def _redacted_text(text: str) -> str:
    text = text if len(text) <= _LONGEST_TEXT else _shortened(text)
    if "/" in text:
        text = _PROVING_PATH.sub(rf"\1{_HIDDEN}", _URL_PASSWORD.sub(f"://{_HIDDEN}@", _QUERY.sub(r"\1", text)))
    if "=" in text:
        text = _PARAMETER.sub(rf"\1={_HIDDEN}", text)
    if ":" in text:
        text = _HEADER.sub(rf"\1\2{_HIDDEN}", _JSON_VALUE.sub(rf"\1{_HIDDEN}", text))
    return _API_TOKEN.sub(_HIDDEN, _CREDENTIALS.sub(rf"\1 {_HIDDEN}", text))


def _shortened(text: str) -> str:
    """Its beginning, and of its end as much, from a word's beginning on, so that no half of a secret is left without its name."""
    words = text[-_LONGEST_TEXT // 2 :].split(maxsplit=1)
    return f"{text[: _LONGEST_TEXT // 2]} [shortened] {words[1] if len(words) > 1 else ''}"
