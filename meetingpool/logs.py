"""Logs: one event per line, an event name and fields, to standard error; secrets are taken out in one place."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_SECRET_FIELDS = frozenset(
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


def configure_logs(*, process: str, log_format: str, level: str) -> None:
    """Sets up this process's logs. `log_format` is json or console; every line carries the name of the process."""
    rendering: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if log_format == "json"
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redact,
            *rendering,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s", force=True)


def get_logger() -> "structlog.typing.FilteringBoundLogger":
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Blanks the values of fields that hold secrets, and cuts queries off URLs: they hold checksums."""
    for name, value in event.items():
        if name.lower() in _SECRET_FIELDS:
            event[name] = "[redacted]"
        elif isinstance(value, str) and "://" in value:
            event[name] = value.partition("?")[0]
    return event
