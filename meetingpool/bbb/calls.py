"""The catalogue of calls: which methods each takes, which kinds of body, and whether it may be repeated.

Apart from them stand the session calls, which a browser makes to the server of its meeting, with a session token in place of a
checksum. Source: BBB's UrlMappings and content-type rules.
"""

from dataclasses import dataclass
from enum import Enum


class BodyKind(Enum):
    """What a request's body is. Only a form can hold parameters; a multipart body is accepted and holds none for us."""

    FORM = "application/x-www-form-urlencoded"
    MULTIPART = "multipart/form-data"
    XML = "application/xml"

    @classmethod
    def of(cls, content_type: str) -> "BodyKind | None":
        """The kind that a Content-Type header names, its parameters and case ignored; None for any other."""
        media_type = content_type.partition(";")[0].strip().lower()
        return cls.XML if media_type == "text/xml" else next((kind for kind in cls if kind.value == media_type), None)


@dataclass(frozen=True, slots=True)
class CallSpec:
    """A call of the API: its name as signed, and what it accepts.

    `is_read`: it changes nothing, so it may be repeated. `is_of_installation`: signed with the secret of the whole installation,
    not a tenant's. `checksum_refusal`: what a wrong checksum is told, where that is not what all others are. `answers_json`: its
    answers are JSON, those of the others XML.
    """

    name: str
    methods: frozenset[str]
    bodies: frozenset[BodyKind]
    is_read: bool = False
    is_of_installation: bool = False
    checksum_refusal: str | None = None
    answers_json: bool = False


_FORMS = frozenset({BodyKind.FORM, BodyKind.MULTIPART})
_GET = frozenset({"GET"})
_READ = _GET | {"HEAD"}
_READ_OR_POST = _READ | {"POST"}
_NO_BODY: frozenset[BodyKind] = frozenset()
# As bbb-webhooks words it, which answers these calls on a server.
_HOOKS_REFUSAL = "You did not pass the checksum security check."

CALLS = {
    spec.name: spec
    for spec in (
        CallSpec("create", _READ_OR_POST, _FORMS | {BodyKind.XML}),
        CallSpec("join", _READ, _FORMS),
        CallSpec("isMeetingRunning", _READ_OR_POST, _FORMS, is_read=True),
        CallSpec("end", _READ_OR_POST, _FORMS),
        CallSpec("getMeetingInfo", _READ_OR_POST, _FORMS, is_read=True),
        CallSpec("getMeetings", _READ_OR_POST, _FORMS, is_read=True),
        CallSpec("getSessions", _READ_OR_POST, _FORMS, is_read=True),
        CallSpec("insertDocument", frozenset({"POST"}), frozenset({BodyKind.XML})),
        CallSpec("sendChatMessage", _GET, _NO_BODY),
        CallSpec("getRecordings", _READ_OR_POST, _FORMS, is_read=True),
        CallSpec("publishRecordings", _GET, _NO_BODY),
        CallSpec("deleteRecordings", _GET, _NO_BODY),
        CallSpec("updateRecordings", _GET | {"POST"}, _FORMS),
        CallSpec("getRecordingTextTracks", _READ_OR_POST, _FORMS, is_read=True, answers_json=True),
        CallSpec("putRecordingTextTrack", frozenset({"POST"}), frozenset({BodyKind.MULTIPART}), answers_json=True),
        CallSpec("getUser", _READ, _NO_BODY, is_read=True, is_of_installation=True),
        CallSpec("hooks/create", _GET, _NO_BODY, checksum_refusal=_HOOKS_REFUSAL),
        CallSpec("hooks/list", _GET, _NO_BODY, is_read=True, checksum_refusal=_HOOKS_REFUSAL),
        CallSpec("hooks/destroy", _GET, _NO_BODY, checksum_refusal=_HOOKS_REFUSAL),
    )
}


@dataclass(frozen=True, slots=True)
class SessionCallSpec:
    """A session call. `answers_json`: its answers are JSON, those of the others XML."""

    name: str
    methods: frozenset[str]
    answers_json: bool = True


SESSION_CALLS = {
    spec.name: spec
    for spec in (
        SessionCallSpec("enter", _READ_OR_POST),
        SessionCallSpec("stuns", _READ_OR_POST),
        SessionCallSpec("getJoinUrl", _READ_OR_POST),
        SessionCallSpec("learningDashboard", _READ_OR_POST),
        SessionCallSpec("guestWait", _READ),
        SessionCallSpec("signOut", _READ_OR_POST, answers_json=False),
    )
}
