"""Which parameters of a create are addresses to call back, and the addresses that servers are given in their place.

A server calls Meetingpool, and Meetingpool calls the front end: so the front end hears of its own meetingID, signed with its own
secret. The address that a server gets names a placement and proves that it was made here.
"""

import hmac
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256

from meetingpool.domain.parameters import OWN_METADATA_PREFIX

PATH = "/bigbluebutton/callbacks"
# What the front end gave travels along under this prefix, so that answers can show it again.
GIVEN_PREFIX = f"{OWN_METADATA_PREFIX}given-"

_MEETING_ENDED_URL = "meetingEndedURL"
_SIGNATURE_LENGTH = 40
# Creates of one placement are few: no two of them draw the same mark.
MARK_BITS = 64
_MARK_LENGTH = MARK_BITS // 4


class CallbackKind(StrEnum):
    """What is announced. `meeting-ended` is asked of every server; the others where the front end gave an address.

    `hook-event` is what servers tell us of as webhooks (hooks.py), and no parameter of a create. `alert` is for administrators
    (alerts.py), and about no meeting.
    """

    MEETING_ENDED = "meeting-ended"
    END_CALLBACK = "end-callback"
    RECORDING_READY = "recording-ready"
    ANALYTICS = "analytics"
    HOOK_EVENT = "hook-event"
    ALERT = "alert"


# By the names of metadata in lower case, which is how BBB compares them. Of several for one kind BBB takes the first.
_METADATA = {
    "meta_endcallbackurl": CallbackKind.END_CALLBACK,
    "meta_bbb-recording-ready-url": CallbackKind.RECORDING_READY,
    "meta_bn-recording-ready-url": CallbackKind.RECORDING_READY,
    "meta_canvas-recording-ready-url": CallbackKind.RECORDING_READY,
    "meta_analytics-callback-url": CallbackKind.ANALYTICS,
}


def given_addresses(parameters: Mapping[str, str]) -> dict[str, str]:
    """The addresses that the front end gave, by their kind."""
    lowered = {name.lower(): value.strip() for name, value in parameters.items()}
    named = [(CallbackKind.MEETING_ENDED, parameters.get(_MEETING_ENDED_URL, "").strip())]
    named += [(kind, lowered.get(name, "")) for name, kind in _METADATA.items()]
    addresses: dict[str, str] = {}
    for kind, address in named:
        if address:
            addresses.setdefault(kind, address)
    return addresses


def with_own_addresses(parameters: Mapping[str, str], address_of: Callable[[CallbackKind], str]) -> dict[str, str]:
    """The parameters with our addresses in the place of the given ones, which become metadata of ours."""
    result = {**parameters, _MEETING_ENDED_URL: address_of(CallbackKind.MEETING_ENDED)}
    for name, value in parameters.items():
        kind = _METADATA.get(name.lower())
        if kind and value.strip():
            result[name] = address_of(kind)
            result[f"meta_{GIVEN_PREFIX}{name.lower().removeprefix('meta_')}"] = value
    return result


def callback_path(key: bytes, generation: int, kind: CallbackKind, mark: int) -> str:
    """The path that a server calls about the placement `generation`.

    `mark`, a random number of MARK_BITS, tells the creates of one placement apart: a meeting that ended and was made anew on its
    server calls another path, so that neither end is taken for the other.
    """
    written = f"{mark:0{_MARK_LENGTH}x}"
    return f"{PATH}/{generation}/{kind}/{written}{_signature(key, generation, kind, written)}"


def proved_mark(key: bytes, generation: int, kind: CallbackKind, proof: str) -> str | None:
    """The mark in `proof`, the end of a path; None unless the path was made with `key`. In a time that tells nothing."""
    mark, signature = proof[:_MARK_LENGTH], proof[_MARK_LENGTH:]
    is_genuine = hmac.compare_digest(_signature(key, generation, kind, mark).encode(), signature.encode())
    return mark if is_genuine else None


# Every repeat of a create says the addresses again.
@lru_cache(1024)
def _signature(key: bytes, generation: int, kind: CallbackKind, mark: str) -> str:
    return hmac.new(key, f"{generation}:{kind}:{mark}".encode(), sha256).hexdigest()[:_SIGNATURE_LENGTH]
