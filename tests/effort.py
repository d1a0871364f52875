"""How long tests that draw their cases by chance go on: `TEST_EFFORT=100` lets them draw a hundred times as many."""

import os


def effort(usual: int) -> int:
    """The number of cases, where `usual` is what every run can afford."""
    return usual * int(os.environ.get("TEST_EFFORT", "1"))
