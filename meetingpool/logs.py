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

_SECRET_NAMES = frozenset(
    {
        "authorization",
        "attendeepw",
        "checksum",
        "cookie",
        "database_url",
        "moderatorpw",
        "password",
        "secret",
        "sessiontoken",
        "token",
    }
)
_URL_QUERY = re.compile(r"(\w://[^\s?\"'<>]*)\?[^\s\"'<>]*")
_URL_PASSWORD = re.compile(r"://[^\s/@]*:[^\s/@]*@")
_SECRET_PARAMETER = re.compile(rf"(?i)\b({'|'.join(sorted(_SECRET_NAMES))})=[^&\s\"'<>]+")
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
    """Blanks what holds secrets: fields by their names, and in any text queries of URLs, passwords in URLs and parameters."""
    return {name: _redacted(name, value) for name, value in event.items()}


def _redacted(name: object, value: Any) -> Any:
    if str(name).lower() in _SECRET_NAMES:
        return "[redacted]"
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
    if "://" in text:
        text = _URL_PASSWORD.sub("://[redacted]@", _URL_QUERY.sub(r"\1", text))
    return _SECRET_PARAMETER.sub(r"\1=[redacted]", text) if "=" in text else text
