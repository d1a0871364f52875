"""The events that webhooks hear of, in the form of bbb-webhooks and in that of BBB's own bus. Called by `SimulatedServer`.

A meeting that ends takes its people with it: nobody is said to have left.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulator.documents import java_date
from simulator.meetings import PastMeeting, Person, SimulatedMeeting

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`meeting_id` is the external one. An event without a `raw` form is not sent to hooks that want raw data."""

    id: str
    meeting_id: str
    document: Document
    raw: Document | None = None


def meeting_created(meeting: SimulatedMeeting, *, at_ms: int) -> Event:
    settings = meeting.settings
    attributes = {
        "name": settings.name,
        "is-breakout": settings.parent is not None,
        "parent-id": settings.parent or "bbb-none",
        "duration": settings.duration_minutes,
        "create-time": meeting.created_ms,
        "create-date": java_date(meeting.created_ms),
        "moderator-pass": settings.moderator_password,
        "viewer-pass": settings.attendee_password,
        "record": settings.is_recorded,
        "voice-conf": settings.voice_bridge,
        "dial-number": settings.dial_number,
        "max-users": settings.max_participants,
        "metadata": dict(settings.metadata),
    }
    properties = {
        "meetingProp": {
            "name": settings.name,
            "extId": meeting.meeting_id,
            "intId": meeting.internal_id,
            "isBreakout": settings.parent is not None,
        },
        "durationProps": {"duration": settings.duration_minutes, "createdTime": meeting.created_ms},
        "voiceProp": {"voiceConf": settings.voice_bridge, "dialNumber": settings.dial_number},
        "metadataProp": {"metadata": dict(settings.metadata)},
    }
    raw = _raw("MeetingCreatedEvtMsg", meeting, {"props": properties}, at_ms)
    return event("meeting-created", meeting, {"meeting": attributes}, at_ms=at_ms, raw=raw)


def meeting_ended(meeting: SimulatedMeeting, *, at_ms: int) -> Event:
    raw = _raw("MeetingDestroyedEvtMsg", meeting, {"meetingId": meeting.internal_id}, at_ms)
    return event("meeting-ended", meeting, {}, at_ms=at_ms, raw=raw)


def user_joined(meeting: SimulatedMeeting, person: Person, *, at_ms: int) -> Event:
    described = {
        "name": person.full_name,
        "role": str(person.role),
        "presenter": person is meeting.presenter,
        "userdata": dict(person.custom_data),
    }
    body = {"intId": person.internal_id, "extId": person.user_id, **described}
    raw = _raw("UserJoinedMeetingEvtMsg", meeting, body, at_ms, person)
    return event("user-joined", meeting, {"user": {**_user(person), **described}}, at_ms=at_ms, raw=raw)


def user_left(meeting: SimulatedMeeting, person: Person, *, at_ms: int) -> Event:
    raw = _raw("UserLeftMeetingEvtMsg", meeting, {"intId": person.internal_id}, at_ms, person)
    return event("user-left", meeting, {"user": _user(person)}, at_ms=at_ms, raw=raw)


def recording_published(meeting: PastMeeting, playback_format: str, *, at_ms: int) -> Event:
    settings = meeting.settings
    recording = {
        "name": settings.name,
        "is-breakout": settings.parent is not None,
        "start-time": meeting.created_ms,
        "end-time": meeting.ended_ms,
        "metadata": {"meetingId": meeting.meeting_id, "meetingName": settings.name, **settings.metadata},
        "playback": {"format": playback_format, "duration": meeting.ended_ms - meeting.created_ms},
        "download": {},
    }
    attributes = {"record-id": meeting.internal_id, "success": True, "workflow": playback_format, "recording": recording}
    return event("rap-publish-ended", meeting, attributes, at_ms=at_ms)


def event(
    event_id: str,
    meeting: SimulatedMeeting | PastMeeting,
    attributes: Document,
    *,
    at_ms: int,
    raw: Document | None = None,
) -> Event:
    """Any event about `meeting`, whose ids are put before what `attributes` say about it."""
    ids = {"internal-meeting-id": meeting.internal_id, "external-meeting-id": meeting.meeting_id}
    all_attributes = {**attributes, "meeting": {**ids, **(attributes.get("meeting") or {})}}
    data = {"type": "event", "id": event_id, "attributes": all_attributes, "event": {"ts": at_ms}}
    return Event(id=event_id, meeting_id=meeting.meeting_id, document={"data": data}, raw=raw)


def _user(person: Person) -> dict[str, str]:
    return {"internal-user-id": person.internal_id, "external-user-id": person.user_id}


def _raw(name: str, meeting: SimulatedMeeting, body: Document, at_ms: int, person: Person | None = None) -> Document:
    ids = {"meetingId": meeting.internal_id, "userId": person.internal_id if person else "not-used"}
    return {
        "envelope": {"name": name, "routing": {"msgType": "BROADCAST_TO_MEETING", **ids}, "timestamp": at_ms},
        "core": {"header": {"name": name, **ids}, "body": body},
    }
