"""Voice bridges: the numbers that callers dial, as a PIN, to get into a meeting by telephone.

Given out when a meeting is created, unique in the pool; looked up by the gateway for FreeSWITCH. Scalelite derives them from the
meetingID, so whoever knows the one knows the other; ours are drawn by chance.
"""

import random
import re

SHORTEST = 5
LONGEST = 15

# Scalelite never gives it out, and neither do we.
RESERVED = "99999"

_BRIDGE = re.compile(rf"[0-9]{{{SHORTEST},{LONGEST}}}")
_PIN = re.compile(rf"[0-9]{{1,{LONGEST + 1}}}")


def new_voice_bridge(rng: random.Random, length: int) -> str:
    """A number of `length` digits, at least one, the first of them not 0. Nobody can foretell it if `rng` is a SystemRandom."""
    lowest = int("1" + "0" * (length - 1))
    while (bridge := str(rng.randrange(lowest, 10 * lowest))) == RESERVED:
        pass
    return bridge


def is_usable(bridge: str) -> bool:
    """Whether a number that a front end asks for can be a voice bridge: digits only, neither too short nor too long."""
    return bool(_BRIDGE.fullmatch(bridge)) and bridge != RESERVED


def bridge_of_pin(pin: str) -> tuple[str, ...]:
    """The voice bridges that a PIN may lead to, the likelier first; none for what is no PIN.

    That of a breakout room is the one of its meeting and a digit more, and a server knows the rooms of its meetings.
    """
    if not _PIN.fullmatch(pin):
        return ()
    return (pin, pin[:-1]) if len(pin) > SHORTEST else (pin,)
