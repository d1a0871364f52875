"""What is logged while a test looks."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from meetingpool.logs import event_of

Event = dict[str, Any]


class _Kept(logging.Handler):
    def __init__(self, events: list[Event]) -> None:
        super().__init__()
        self._events = events

    def emit(self, record: logging.LogRecord) -> None:
        self._events.append(event_of(record))


@contextmanager
def captured_logs() -> Iterator[list[Event]]:
    """Our own events of all levels, in order, with nothing blanked."""
    events: list[Event] = []
    logger, handler = logging.getLogger("meetingpool"), _Kept(events)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield events
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def names_of(events: Iterable[Event]) -> list[str]:
    return [event["event"] for event in events]
