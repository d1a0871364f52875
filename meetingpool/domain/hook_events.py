"""What an event says of itself, and how a front end is told of it: with its own meetingID, and without what we added.

The gateway reads events that servers bring and makes announcements of them. Source: the events of bbb-webhooks, and the messages
on the buses of BBB and of its recording scripts, which raw events are.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from meetingpool.domain.announcements import Announcement, metadata_as_given
from meetingpool.domain.callbacks import CallbackKind
from meetingpool.domain.hooks import Hook, HookForm
from meetingpool.domain.meetings import MeetingKey, host_id_of
from meetingpool.domain.servers import ServerId

MAX_ID_LENGTH = 256
# JSON can spell what no id holds, and no database.
_NOT_IN_IDS = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")

_MEETING_ENDED = "meeting-ended"
_OF_RECORDINGS = "rap-"

# A front end names events as bbb-webhooks does, also where it wants them raw. Of a message that can mean either of two, both are
# meant.
_IDS_OF_MESSAGES = {
    "meetingcreatedevtmsg": ("meeting-created",),
    "meetingdestroyedevtmsg": ("meeting-ended",),
    "recordingstatuschangedevtmsg": ("meeting-recording-started", "meeting-recording-stopped"),
    "screensharertmpbroadcaststartedevtmsg": ("meeting-screenshare-started",),
    "screensharertmpbroadcaststoppedevtmsg": ("meeting-screenshare-stopped",),
    "setcurrentpresentationevtmsg": ("meeting-presentation-changed",),
    "userjoinedmeetingevtmsg": ("user-joined",),
    "userleftmeetingevtmsg": ("user-left",),
    "userjoinedvoiceconftoclientevtmsg": ("user-audio-voice-enabled",),
    "userleftvoiceconftoclientevtmsg": ("user-audio-voice-disabled",),
    "usermutedvoiceevtmsg": ("user-audio-muted", "user-audio-unmuted"),
    "userbroadcastcamstartedevtmsg": ("user-cam-broadcast-start",),
    "userbroadcastcamstoppedevtmsg": ("user-cam-broadcast-end",),
    "presenterassignedevtmsg": ("user-presenter-assigned",),
    "presenterunassignedevtmsg": ("user-presenter-unassigned",),
    "useremojichangedevtmsg": ("user-emoji-changed",),
    "userraisehandchangedevtmsg": ("user-raise-hand-changed",),
    "groupchatmessagebroadcastevtmsg": ("chat-group-message-sent",),
    "transcriptupdatedevtmsg": ("transcript-updated",),
    "padcontentevtmsg": ("pad-content",),
    "pollstartedevtmsg": ("poll-started",),
    "userrespondedtopollrespmsg": ("poll-responded",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HookEvent:
    """An event as a server brought it. `ids` (lower case): what it is known by.

    `host_id` and `internal_id` are the server's ids of its meeting, of which it names one at least. `has_time`: it says itself
    when it was, so that no two of a meeting are alike.
    """

    form: HookForm
    document: Mapping[str, Any] = field(repr=False)
    ids: frozenset[str]
    host_id: str | None
    internal_id: str | None
    has_time: bool

    @property
    def ends_meeting(self) -> bool:
        return self.form is HookForm.PROCESSED and _MEETING_ENDED in self.ids

    @property
    def is_of_recording(self) -> bool:
        """Such events come when the meeting has long been over."""
        return any(event_id.startswith(_OF_RECORDINGS) for event_id in self.ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What one post of a server brought. `domain`: what front ends are told to be its sender; `timestamp` as it was written."""

    server_id: ServerId
    events: Sequence[HookEvent]
    domain: str
    timestamp: str


def read_event(document: Any, form: HookForm) -> HookEvent | None:
    """What `document` says of itself; None for what is no event of a meeting."""
    if not isinstance(document, dict):
        return None
    event = _processed(document) if form is HookForm.PROCESSED else _raw(document)
    return event if event.ids and (event.host_id or event.internal_id) else None


def announcements_of(brought: Brought, keys: Sequence[MeetingKey | None], hooks: Iterable[Hook]) -> list[Announcement]:
    """What the `hooks` are told, in the order of the events. `keys`: the meeting of each event, None for one to be dropped."""
    by_tenant: dict[str, list[Hook]] = {}
    for hook in hooks:
        by_tenant.setdefault(hook.tenant, []).append(hook)
    announcements: list[Announcement] = []
    for event, key in zip(brought.events, keys, strict=True):
        if key is not None:
            wanting = [hook for hook in by_tenant.get(key.tenant, ()) if hook.wants(key.meeting_id, event.ids, event.form)]
            announcements += _announcements(brought, event, key, wanting)
    return announcements


def _announcements(brought: Brought, event: HookEvent, key: MeetingKey, wanting: Sequence[Hook]) -> list[Announcement]:
    """One for each of those who want the event. A server that brings an event again makes the same announcements of it."""
    if not wanting:
        return []
    told = [brought.server_id, event.document, *([] if event.has_time else [brought.timestamp])]
    digest = sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    # As text: it reaches the front end in the order in which the server wrote it.
    text = json.dumps(_as_given(event.document, host_id_of(key), key.meeting_id), separators=(",", ":"))
    return [
        Announcement(
            kind=CallbackKind.HOOK_EVENT,
            tenant=key.tenant,
            meeting_id=key.meeting_id,
            url=hook.callback_url,
            payload={"domain": brought.domain, "event": text, "timestamp": brought.timestamp},
            subject=(hook.id, digest),
            hook_id=hook.id,
        )
        for hook in wanting
    ]


def _processed(document: dict[str, Any]) -> HookEvent:
    event_id = _id(document, "data", "id")
    return HookEvent(
        form=HookForm.PROCESSED,
        document=document,
        ids=frozenset({event_id.lower()} if event_id else ()),
        host_id=_id(document, "data", "attributes", "meeting", "external-meeting-id"),
        internal_id=_id(document, "data", "attributes", "meeting", "internal-meeting-id"),
        has_time=_within(document, "data", "event", "ts") is not None,
    )


def _raw(document: dict[str, Any]) -> HookEvent:
    name = (_id(document, "core", "header", "name") or _id(document, "envelope", "name") or "").lower()
    if not name:
        return _raw_of_recording(document)
    described = ("core", "body", "props", "meetingProp")
    return HookEvent(
        form=HookForm.RAW,
        document=document,
        ids=frozenset({name, *_IDS_OF_MESSAGES.get(name, ())}),
        host_id=_id(document, *described, "extId"),
        internal_id=_id(document, "core", "header", "meetingId") or _id(document, "envelope", "routing", "meetingId"),
        has_time=_within(document, "envelope", "timestamp") is not None,
    )


def _raw_of_recording(document: dict[str, Any]) -> HookEvent:
    name = (_id(document, "header", "name") or "").lower()
    return HookEvent(
        form=HookForm.RAW,
        document=document,
        ids=frozenset({name, _OF_RECORDINGS + name.replace("_", "-")} if name else ()),
        host_id=_id(document, "payload", "external_meeting_id"),
        internal_id=_id(document, "payload", "meeting_id"),
        has_time=_within(document, "header", "timestamp") is not None,
    )


def _within(document: Any, *names: str) -> Any:
    """What is in `document` under these names, one in the other; None when it is not there."""
    for name in names:
        if not isinstance(document, dict):
            return None
        document = document.get(name)
    return document


def _id(document: Any, *names: str) -> str | None:
    value = _within(document, *names)
    is_id = isinstance(value, str) and 0 < len(value) <= MAX_ID_LENGTH and not _NOT_IN_IDS.search(value)
    return value if is_id else None


def _as_given(value: Any, host_id: str, meeting_id: str) -> Any:
    """`value` about the meeting that the front end knows: its own meetingID, and the metadata that it gave."""
    match value:
        case dict():
            return {name: _as_given(_without_own(name, inner), host_id, meeting_id) for name, inner in value.items()}
        case list():
            return [_as_given(inner, host_id, meeting_id) for inner in value]
        case str():
            return value.replace(host_id, meeting_id)
    return value


def _without_own(name: str, value: Any) -> Any:
    return metadata_as_given(value) if name == "metadata" and isinstance(value, dict) else value
