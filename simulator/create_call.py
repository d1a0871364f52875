"""The create call: what a meeting must bring, what the server fills in, and when a repeat is the same meeting."""

import re
from collections.abc import Mapping

from meetingpool.bbb.errors import MissingMeetingID, ValidationError
from simulator.documents import created_document
from simulator.meetings import DIAL_NUMBER, MeetingSettings, SimulatedMeeting
from simulator.refusals import IdNotUnique, ParentMeetingMissing
from simulator.replies import Reply, xml_reply
from simulator.server import SimulatedServer

_METADATA = re.compile(r"meta_([a-zA-Z][a-zA-Z0-9-]*)\Z")


def create(server: SimulatedServer, parameters: Mapping[str, str]) -> Reply:
    """Raises ValidationError, IdNotUnique, VoiceBridgeInUse or ParentMeetingMissing."""
    meeting_id = _checked_meeting_id(parameters)
    if existing := server.meetings.get(meeting_id):
        _require_same_passwords(server, existing, parameters)
        return xml_reply(created_document(existing, is_duplicate=True))
    meeting = server.open_meeting(_settings(server, meeting_id, parameters))
    return xml_reply(created_document(meeting, is_duplicate=False))


def _checked_meeting_id(parameters: Mapping[str, str]) -> str:
    meeting_id = parameters.get("meetingID", "")
    if not meeting_id:
        raise MissingMeetingID("You must provide a meeting ID")
    if not 2 <= len(meeting_id) <= 256:
        raise ValidationError("Meeting ID must be between 2 and 256 characters")
    if "," in meeting_id:
        raise ValidationError("Meeting ID cannot contain ','")
    return meeting_id


def _require_same_passwords(server: SimulatedServer, existing: SimulatedMeeting, parameters: Mapping[str, str]) -> None:
    given = (parameters.get("attendeePW", ""), parameters.get("moderatorPW", ""))
    settings = existing.settings
    if server.strict and any(given) and given != (settings.attendee_password, settings.moderator_password):
        raise IdNotUnique


def _settings(server: SimulatedServer, meeting_id: str, parameters: Mapping[str, str]) -> MeetingSettings:
    return MeetingSettings(
        meeting_id=meeting_id,
        name=_checked_name(parameters),
        attendee_password=parameters.get("attendeePW") or server.random_text(8),
        moderator_password=parameters.get("moderatorPW") or server.random_text(8),
        voice_bridge=_checked_voice_bridge(parameters) or server.free_voice_bridge(),
        dial_number=parameters.get("dialNumber") or DIAL_NUMBER,
        max_participants=_number(parameters, "maxParticipants", 0),
        duration_minutes=_number(parameters, "duration", 0),
        is_recorded=_is_recorded(parameters),
        starts_recording=_boolean(parameters, "autoStartRecording"),
        keeps_events=_boolean(parameters, "meetingKeepEvents"),
        ended_url=parameters.get("meetingEndedURL", ""),
        metadata=_metadata(parameters),
        parent=_parent(server, parameters),
        sequence=_number(parameters, "sequence", 0),
        is_free_join=_boolean(parameters, "freeJoin"),
        expires_unjoined_minutes=_number(parameters, "meetingExpireIfNoUserJoinedInMinutes", 5),
        expires_emptied_minutes=_number(parameters, "meetingExpireWhenLastUserLeftInMinutes", 1),
    )


def _checked_name(parameters: Mapping[str, str]) -> str:
    name = parameters.get("name", "")
    if not name:
        raise ValidationError("You must provide a meeting name")
    if not 2 <= len(name) <= 256:
        raise ValidationError("Meeting name must be between 2 and 256 characters")
    return name


def _checked_voice_bridge(parameters: Mapping[str, str]) -> str:
    bridge = parameters.get("voiceBridge", "")
    if bridge and not (bridge.isascii() and bridge.isdigit()):
        raise ValidationError("Voice bridge must be an integral value")
    return bridge


def _is_recorded(parameters: Mapping[str, str]) -> bool:
    record = parameters.get("record", "").lower()
    if record not in ("", "true", "false"):
        raise ValidationError("Record must be a boolean value (true or false)")
    return record == "true"


def _metadata(parameters: Mapping[str, str]) -> dict[str, str]:
    named = ((_METADATA.match(name), value) for name, value in parameters.items())
    return {match[1].lower(): value for match, value in named if match}


def _parent(server: SimulatedServer, parameters: Mapping[str, str]) -> str | None:
    """The internal id of a breakout room's meeting, which may be named by either id. Raises ParentMeetingMissing."""
    if not _boolean(parameters, "isBreakout"):
        return None
    parent = server.find(parameters.get("parentMeetingID", ""))
    if parent is None:
        raise ParentMeetingMissing
    return parent.internal_id


def _boolean(parameters: Mapping[str, str], name: str) -> bool:
    return parameters.get(name, "").lower() == "true"


def _number(parameters: Mapping[str, str], name: str, default: int) -> int:
    text = parameters.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default
