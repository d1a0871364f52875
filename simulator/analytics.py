"""What a meeting was like: the document that a server posts to `analytics-callback-url`. Called by `outward_calls.py`.

BBB draws it from the recorded events. Here people come and go as they really did; what they do meanwhile follows from how
long they stayed, so that the same visit always gives the same figures.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from simulator.meetings import Role, SimulatedMeeting, Visit

_SECONDS_PER_CHAT = 600
_SECONDS_PER_TALK = 300
_SECONDS_OF_A_TALK = 11


def analytics_document(meeting: SimulatedMeeting, *, ended_at: float) -> dict[str, Any]:
    """`ended_at` in seconds since 1970 by the server's own clock, as are the visits."""
    started_at = meeting.created_ms / 1000
    return {
        "version": "1.0",
        "meeting_id": meeting.meeting_id,
        "internal_meeting_id": meeting.internal_id,
        "data": {
            "metadata": _metadata(meeting),
            "duration": _whole_seconds(started_at, ended_at),
            "start": _iso(started_at),
            "finish": _iso(ended_at),
            "attendees": _attendees(meeting.visits_until(ended_at)),
            "files": [],
            "polls": [],
        },
    }


def _metadata(meeting: SimulatedMeeting) -> dict[str, str]:
    settings = meeting.settings
    named = {key.replace("-", "_"): value for key, value in settings.metadata.items()}
    shown = {key: value for key, value in named.items() if not key.startswith("gl_") and key != "meeting_id"}
    return {**shown, "meeting_name": settings.name, "is_breakout": "true" if settings.parent else "false"}


def _attendees(visits: Iterable[Visit]) -> list[dict[str, Any]]:
    """One entry for each user of the front end, however often they came."""
    by_user: dict[str, list[Visit]] = {}
    for visit in visits:
        by_user.setdefault(visit.person.user_id, []).append(visit)
    return [_attendee(own_visits) for own_visits in by_user.values()]


def _attendee(visits: list[Visit]) -> dict[str, Any]:
    person = visits[-1].person
    duration = sum(_whole_seconds(visit.joined_at, visit.left_at) for visit in visits)
    talks = duration // _SECONDS_PER_TALK if person.has_joined_voice else 0
    return {
        "ext_user_id": person.user_id,
        "name": person.full_name,
        "moderator": any(visit.person.role is Role.MODERATOR for visit in visits),
        "joins": [_iso(visit.joined_at) for visit in visits],
        "leaves": [_iso(visit.left_at) for visit in visits],
        "duration": duration,
        "engagement": {
            "chats": duration // _SECONDS_PER_CHAT,
            "talks": talks,
            "raisehand": 0,
            "emojis": 0,
            "poll_votes": 0,
            "talk_time": talks * _SECONDS_OF_A_TALK,
        },
    }


def _whole_seconds(start: float, end: float) -> int:
    # The server's clock may have been set back meanwhile.
    return max(0, int(end - start))


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
