"""The calls that a server makes by itself, as values: when a meeting ends, when a recording is ready, what a meeting was like.

`SimulatedServer` makes them, `Delivery` sends them. Source of the rules: bbb-web's callback service, and the scripts that BBB
runs after a recording was published and after a meeting's events were archived.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote_plus, unquote_plus, urlencode

from simulator.analytics import analytics_document
from simulator.meetings import PastMeeting, SimulatedMeeting
from simulator.requests import FORM
from simulator.tokens import signed_token

# Seconds before each repeat of a call that bbb-web makes.
MEETING_ENDED_PAUSES = (30.0, 60.0, 120.0, 300.0)
TOKEN_SECONDS = 24 * 3600

# The first that a meeting has is the one that is called.
_RECORDING_READY_KEYS = ("bbb-recording-ready-url", "bn-recording-ready-url", "canvas-recording-ready-url")


class OutwardKind(StrEnum):
    """What a server calls others for. `meeting_ended` goes to the meetingEndedURL, `end_callback` to the endCallbackUrl."""

    MEETING_ENDED = "meeting_ended"
    END_CALLBACK = "end_callback"
    RECORDING_READY = "recording_ready"
    ANALYTICS = "analytics"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutwardCall:
    """A GET of `url`, or a POST when there is a body. Success is a status of 200 to 299 or in `also_accepted`.

    `pauses` are the seconds before each repeat after a failure; then it is given up, or repeated `then_every` so many seconds.
    Redirects are followed `max_redirects` times. Calls of one `hook_id` are made one after the other. `delay` (seconds before the
    first attempt) and `is_sent_twice` come from faults.
    """

    kind: OutwardKind
    url: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    pauses: tuple[float, ...] = ()
    then_every: float | None = None
    also_accepted: frozenset[int] = frozenset()
    max_redirects: int = 0
    hook_id: str | None = None
    delay: float = 0.0
    is_sent_twice: bool = False


def meeting_ended_calls(meeting: SimulatedMeeting) -> list[OutwardCall]:
    """Up to two calls, which know nothing of each other. None for a breakout room."""
    settings = meeting.settings
    if settings.parent is not None:
        return []
    calls = []
    if url := settings.metadata.get("endcallbackurl"):
        calls.append(_meeting_ended_call(OutwardKind.END_CALLBACK, _with_outcome(url, meeting)))
    if settings.ended_url:
        calls.append(_meeting_ended_call(OutwardKind.MEETING_ENDED, settings.ended_url))
    return calls


def recording_ready_call(meeting: PastMeeting, *, secret: str) -> OutwardCall | None:
    """None when nobody asked to be told."""
    metadata = meeting.settings.metadata
    url = next((metadata[key] for key in _RECORDING_READY_KEYS if metadata.get(key)), None)
    if url is None:
        return None
    payload = {"meeting_id": meeting.meeting_id, "record_id": meeting.internal_id}
    token = signed_token({"alg": "HS256"}, payload, secret)
    return OutwardCall(
        kind=OutwardKind.RECORDING_READY,
        url=url,
        body=urlencode({"signed_parameters": token}).encode(),
        headers=(("Content-Type", FORM),),
    )


def analytics_call(meeting: SimulatedMeeting, *, ended_at: float, secret: str) -> OutwardCall | None:
    """None when nobody asked for it, or when the meeting's events are not kept. The token does not cover the document."""
    settings = meeting.settings
    url = settings.metadata.get("analytics-callback-url")
    if not url or not (settings.keeps_events or settings.is_recorded):
        return None
    token = signed_token({"alg": "HS512", "typ": "JWT"}, {"exp": int(ended_at) + TOKEN_SECONDS}, secret)
    return OutwardCall(
        kind=OutwardKind.ANALYTICS,
        url=url,
        body=compact_json(analytics_document(meeting, ended_at=ended_at)),
        headers=(
            ("Content-Type", "application/json"),
            ("Authorization", f"Bearer {token}"),
            ("User-Agent", "BigBlueButton Analytics Callback"),
        ),
    )


def compact_json(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _meeting_ended_call(kind: OutwardKind, url: str) -> OutwardCall:
    return OutwardCall(kind=kind, url=url, pauses=MEETING_ENDED_PAUSES)


def _with_outcome(url: str, meeting: SimulatedMeeting) -> str:
    """The URL with its own query, written anew, and the outcome added in the order of bbb-web. A meetingID may be there twice."""
    address, _, query = url.partition("#")[0].partition("?")
    outcome = urlencode({"recordingmarks": str(meeting.has_recording_marks).lower(), "meetingID": meeting.meeting_id})
    own = [_written_anew(token) for token in query.split("&") if token]
    return f"{address}?{'&'.join([*own, outcome])}"


def _written_anew(token: str) -> str:
    return "=".join(quote_plus(unquote_plus(part)) for part in token.split("=", 1))
