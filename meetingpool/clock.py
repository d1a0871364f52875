"""Time as an argument: code that waits, ages or expires things takes a Clock, so that tests decide what time it is."""

import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back. For durations and deadlines."""

    def epoch(self) -> float:
        """Seconds since 1970. For times that others gave us, or will read."""


@dataclass(frozen=True)
class SystemClock:
    def monotonic(self) -> float:
        return time.monotonic()

    def epoch(self) -> float:
        return time.time()
