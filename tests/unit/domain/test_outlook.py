"""What gateways know of what is foreseen."""

from dataclasses import replace

import pytest

from meetingpool.domain.load import Expectation
from meetingpool.domain.outlook import Outlook
from meetingpool.domain.rooms import ALL

PRIOR = Expectation(users=15, fades_after=900)


@pytest.mark.parametrize(("tenant", "users"), [("school", 40.0), ("another", 12.0)])
def test_what_is_typical_of_all_is_typical_of_a_tenant_of_which_nothing_is_known(tenant: str, users: float) -> None:
    assert Outlook(typical={ALL: 12.0, "school": 40.0}).typical_of(tenant, PRIOR) == replace(PRIOR, users=users, besides=True)


def test_the_prior_is_expected_as_long_as_nothing_was_told() -> None:
    assert Outlook().typical_of("school", PRIOR) == PRIOR
