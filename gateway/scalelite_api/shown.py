"""When whom was shown which secrets last. Whoever watches the pool asks each minute; the audit keeps that once an hour."""

from collections import OrderedDict


class Shown:
    """The last entries of one process. Of more than `capacity`, the oldest are forgotten, and so are due again."""

    def __init__(self, *, every: float = 3600.0, capacity: int = 1000) -> None:
        self._every = every
        self._capacity = capacity
        self._noted: OrderedDict[str, float] = OrderedDict()

    def is_due(self, what: str, now: float) -> bool:
        """Whether the audit has no entry of this from the last hour."""
        noted = self._noted.get(what)
        return noted is None or now - noted >= self._every

    def note(self, what: str, now: float) -> None:
        """Remembers that the audit has one."""
        self._noted[what] = now
        self._noted.move_to_end(what)
        if len(self._noted) > self._capacity:
            self._noted.popitem(last=False)
