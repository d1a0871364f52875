"""The policies by their names."""

from collections.abc import Callable, Sequence
from random import Random

from admin.simulation.policies.heedless import Drawn, RoundRobin
from admin.simulation.policies.oracle import Oracle
from admin.simulation.policies.policy import Policy
from admin.simulation.policies.production import Production
from admin.simulation.policies.weighing import Bbblb, LeastMeetings, Scalelite, TwoChoices
from admin.simulation.runs import Run
from meetingpool.domain.refusals import Invalid

OURS = "meetingpool"
ORACLE = "oracle"
_BY_NAME: dict[str, Callable[[int, Random], Policy]] = {
    OURS: Production,
    "bbblb": Bbblb,
    "scalelite": Scalelite,
    "least-meetings": LeastMeetings,
    "round-robin": RoundRobin,
    "random": Drawn,
    "two-choices": TwoChoices,
}
NAMES = (*_BY_NAME, ORACLE)


class UnknownPolicy(Invalid):
    """A policy that there is not."""


def known_policy(name: str) -> str:
    """The name, if there is such a policy. Raises UnknownPolicy."""
    if name not in NAMES:
        raise UnknownPolicy(f"No policy is called {name}: there are {', '.join(NAMES)}")
    return name


def make_policy(name: str, runs: Sequence[Run], servers: int, seed: int) -> Policy:
    """A policy that knows of nothing yet. `runs` is for the one that is allowed to see them; what is drawn depends on `seed`."""
    rng = Random(seed)  # noqa: S311
    if known_policy(name) == ORACLE:
        return Oracle(runs, servers, rng)
    return _BY_NAME[name](servers, rng)
