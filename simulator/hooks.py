"""Webhooks: who registered for which events of a server, and the call that brings them. Called by the hooks calls and the server.

Source of the rules: bbb-webhooks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from meetingpool.bbb.checksum import Algorithm, sign
from simulator.events import Event
from simulator.outward_calls import OutwardCall, OutwardKind, compact_json
from simulator.requests import FORM

# Seconds before each repeat, about five minutes in all; then the hook is dropped.
HOOK_PAUSES = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 30.0, 60.0, 60.0, 60.0, 60.0)
PERMANENT_PAUSE = 60.0
MAX_REDIRECTS = 10
# The receiver was reached and wants no such event: that is its own affair.
_REFUSED_BY_RECEIVER = frozenset({401})


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """`meeting_id` is the external id of the one meeting that it hears of, `event_ids` (lower case) the events; unset: all.

    A permanent hook comes from the server's own configuration: no call removes it, and no failure.
    """

    id: str
    callback_url: str
    meeting_id: str | None = None
    event_ids: tuple[str, ...] = ()
    wants_raw: bool = False
    is_permanent: bool = False

    def wants(self, event: Event) -> bool:
        if self.meeting_id is not None and self.meeting_id != event.meeting_id:
            return False
        if self.event_ids and event.id.lower() not in self.event_ids:
            return False
        return event.raw is not None or not self.wants_raw


def hook_call(
    hook: Hook, events: Sequence[Event], *, domain: str, timestamp_ms: int, secret: str, algorithm: Algorithm | None
) -> OutwardCall:
    """One post with `events`, proved by a checksum over URL and body; without an `algorithm` the secret travels as a token."""
    documents = [event.raw if hook.wants_raw else event.document for event in events]
    body = urlencode({"domain": domain, "event": compact_json(documents), "timestamp": timestamp_ms}).encode()
    authorization = () if algorithm else (("Authorization", f"Bearer {secret}"),)
    return OutwardCall(
        kind=OutwardKind.WEBHOOK,
        url=_with_checksum(hook.callback_url, body, secret, algorithm) if algorithm else hook.callback_url,
        body=body,
        headers=(("Content-Type", FORM), *authorization),
        pauses=HOOK_PAUSES,
        then_every=PERMANENT_PAUSE if hook.is_permanent else None,
        also_accepted=_REFUSED_BY_RECEIVER,
        max_redirects=MAX_REDIRECTS,
        hook_id=hook.id,
    )


def _with_checksum(url: str, body: bytes, secret: str, algorithm: Algorithm) -> str:
    # The URL is signed as it was registered, before the checksum is added.
    return f"{url}{'&' if '?' in url else '?'}checksum={sign(url, body, secret, algorithm)}"
