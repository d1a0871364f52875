"""Counts what became of the calls of the API, and how long they took. `bbb_api` tells it of each; `metrics` shows it."""

from typing import Literal, get_args

from starlette.responses import Response

from meetingpool.bbb.calls import CALLS
from meetingpool.bbb.errors import ApiError, InternalError, MaxConcurrent, ServerTagUnavailable
from meetingpool.database.creates import TenantFull
from meetingpool.domain.placement import NoServerAvailable
from meetingpool.metrics import PLACEMENTS_REFUSED, REQUEST_SECONDS, REQUESTS
from meetingpool.metrics_counts import Counter, Counts, Histogram

# What is no call that we know.
OTHER = "other"

# How an answer of BBB begins that refuses something, wherever it was written.
_REFUSAL, _BEGINNING = b"returncode>FAILED", 96


# `refused`: the caller was told what is wrong with the call; `unverified`: its checksum is; `busy`: to come again later;
# `failed`: we could not, or the server could not. Plain words, since every call looks one up.
Outcome = Literal["ok", "refused", "unverified", "busy", "failed"]

# Why there was no place for a new meeting.
_REFUSALS: dict[str, tuple[type[Exception], ...]] = {
    "no_server": (NoServerAvailable,),
    "no_server_with_tag": (ServerTagUnavailable,),
    "tenant_full": (TenantFull, MaxConcurrent),
}


class RequestCounts:
    """Of one process. Everything that can be counted is there from the start, as 0."""

    def __init__(self, counts: Counts) -> None:
        self._calls: dict[str, tuple[dict[Outcome, Counter], Histogram]] = {
            call: (
                {outcome: counts.counter(REQUESTS, call, outcome) for outcome in get_args(Outcome)},
                counts.histogram(REQUEST_SECONDS, call),
            )
            for call in (*CALLS, OTHER)
        }
        self._refusals = {reason: counts.counter(PLACEMENTS_REFUSED, reason) for reason in _REFUSALS}

    def note(self, call: str, outcome: Outcome, seconds: float) -> None:
        """A call was answered `seconds` after it was taken up."""
        counters, histogram = self._calls[call]
        counters[outcome].add()
        histogram.observe(seconds)

    def note_refusal(self, call: str, error: Exception) -> None:
        """A call ended in an expected error, which may say that there was no place for a meeting."""
        if call == "create":
            for reason, kinds in _REFUSALS.items():
                if isinstance(error, kinds):
                    self._refusals[reason].add()


def outcome_of(response: Response) -> Outcome:
    """What the answer of a handler says, which may be a server's."""
    if response.status_code == 503:
        return "busy"
    body: bytes = getattr(response, "body", b"")
    return "refused" if body and body.find(_REFUSAL, 0, _BEGINNING) >= 0 else "ok"


def outcome_of_error(error: ApiError) -> Outcome:
    """What an answer says that is an error of ours: the caller's fault, or not."""
    return "failed" if isinstance(error, InternalError) else "refused"
