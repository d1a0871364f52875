"""A server that is online again gets its share gradually, not every new meeting because it is empty.

It is compared with the others as if it carried about as much as they do, and from poll to poll by less of that. What it can carry
is not touched: when the others are full, it takes what comes.
"""

SLOW_START = 60.0


def handicap(load: float, usual: float, online_for: float) -> float:
    """By how much a server counts as more loaded than it is, `online_for` seconds after it came online.

    `usual`: its load if it carried as much as the others do.
    """
    return max(0.0, 1.0 - online_for / SLOW_START) * max(0.0, usual - load)
