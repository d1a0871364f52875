"""Lengths of time as people write them: 90d, 12h, 30m. For how long tokens last, and how far back lists go."""

import re
from datetime import timedelta

_LENGTH = re.compile(r"([1-9][0-9]{0,5})([dhm])")
_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}
LONGEST = timedelta(days=3650)


def read_length(text: str) -> timedelta | None:
    """None for what is no such length, or a longer one than LONGEST."""
    found = _LENGTH.fullmatch(text.strip())
    if found is None:
        return None
    length = int(found[1]) * _UNITS[found[2]]
    return length if length <= LONGEST else None
