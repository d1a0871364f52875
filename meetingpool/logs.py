"""Logs: one event per line, an event name and fields, to standard error; secrets are taken out in one place."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

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


def configure_logs(*, process: str, log_format: str, level: str) -> None:
    """Sets up this process's logs. `log_format` is json or console; every line carries the name of the process."""
    rendering: Any = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Tracebacks become text before the redaction, and without the values of variables.
            structlog.processors.format_exc_info,
            redact,
            rendering,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    logging.basicConfig(level=logging.WARNING, handlers=[_LibraryHandler()], force=True)


def get_logger() -> "structlog.typing.FilteringBoundLogger":
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger


class _LibraryHandler(logging.Handler):
    """Sends what libraries log the same way as our own events."""

    def emit(self, record: logging.LogRecord) -> None:
        get_logger().log(record.levelno, "library_log", logger=record.name, message=record.getMessage(), exc_info=record.exc_info)


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
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
