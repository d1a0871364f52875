"""The fuzzer for a few seconds, so that it is known to work, and finds at once what is easy to find."""

import pytest

from tests.effort import effort
from tests.fuzz.runs import run

REACHED = [
    *("200 SUCCESS", "200 SUCCESS duplicateWarning", "200 SUCCESS sentEndMeetingRequest", "200 FAILED idNotUnique", "302"),
    *("200 FAILED checksumError", "429 FAILED checksumError", "200 FAILED validationError", "200 FAILED unsupportedContentType"),
]


@pytest.mark.parametrize("seed", [1, 2])
def test_spoilt_requests_are_answered_properly(template_url: str, seed: int) -> None:
    outcome = run(template_url, seed, effort(1000))

    assert not outcome.failures, str(outcome)
    assert [kind for kind in REACHED if not outcome.answers[kind]] == []
