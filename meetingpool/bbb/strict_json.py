"""JSON that every reader understands in the same way: what servers post to us, and what their tokens say.

Called by `callbacks.py` and `tokens.py`.
"""

import json
import math
from typing import Any

MAX_DEPTH = 32


class NotJson(ValueError):
    """The bytes are not a JSON object or list that can be understood in one way only."""


def parse(content: bytes) -> Any:
    """The object or list in `content`, UTF-8.

    Raises NotJson with a sentence for anything else, for names that are given twice, numbers beyond all bounds, and more than
    MAX_DEPTH levels.
    """
    try:
        document = json.loads(
            content.decode(), object_pairs_hook=_without_repetition, parse_constant=_finite, parse_float=_finite
        )
    except (ValueError, RecursionError):
        raise NotJson("this is not JSON that can be understood in one way only") from None
    if not isinstance(document, dict | list) or _is_deeper_than(MAX_DEPTH, document):
        raise NotJson(f"this is not a JSON object of at most {MAX_DEPTH} levels")
    return document


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name is given twice")
    return result


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large, or none")
    return number


def _is_deeper_than(limit: int, document: Any) -> bool:
    level = [document]
    for _ in range(limit):
        inner = (value for outer in level for value in (outer.values() if isinstance(outer, dict) else outer))
        level = [value for value in inner if isinstance(value, dict | list)]
        if not level:
            return False
    return True
