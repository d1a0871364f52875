"""Growth of a pool: more meetings of the same sizes, as there are when more courses or more schools come, not larger ones."""

import re
from collections.abc import Iterable
from fractions import Fraction

from meetingpool.domain.refusals import Invalid

NO_GROWTH = Fraction(1)
MOST_GROWTH = 100
_GROWTH = re.compile(r"([+-]?[0-9]{1,6}(?:\.[0-9]{1,6})?)(%?)")


class InvalidGrowth(Invalid):
    """Growth that is not understood."""


def read_growth(text: str) -> Fraction:
    """`1.5`: times as many meetings; `50%`: so many more. Raises InvalidGrowth."""
    written = _GROWTH.fullmatch(text.strip())
    number = Fraction(written[1]) if written else Fraction(0)
    growth = 1 + number / 100 if written and written[2] else number
    if not 0 < growth <= MOST_GROWTH:
        raise InvalidGrowth(f"{text!r} is no growth: give how many times as many meetings, as 1.5, or how many more, as 50%")
    return growth


def grown(sizes: Iterable[int], growth: Fraction) -> list[int]:
    """`growth` times as many meetings of the same sizes, the largest first.

    Each size comes about `growth` times as often, without any chance: how many of the largest there are is rounded up, whatever
    number of them is counted.
    """
    ordered = sorted(sizes, reverse=True)
    over, under = growth.numerator, growth.denominator
    found: list[int] = []
    for number, size in enumerate(ordered, 1):
        found += [size] * (-(-number * over // under) - len(found))
    return found
