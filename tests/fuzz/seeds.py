"""Requests as they should be, to be spoilt: every call and every other address of a gateway, with what it reads."""

import base64
from dataclasses import dataclass, field, replace
from random import Random

from tests.wire import FORM, Headers

SECRET_OF_TENANT = b"secret-of-a-tenant"
XML = b"text/xml"
SLIDES = b"<modules><module name='presentation'><document url='https://x.example/a.pdf' filename=\"a.pdf\"/></module></modules>"
SUBTITLES = (
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.srt"\r\n\r\n'
    b"1\n00:00:01,000 --> 00:00:02,000\nHello\n\r\n--x--\r\n"
)
MEETINGS = 12


@dataclass(frozen=True, slots=True)
class Seed:
    """`call` is what the checksum is made for, None where there is none. A form is signed as it is, too."""

    path: bytes
    call: bytes | None = None
    method: str = "GET"
    tokens: tuple[bytes, ...] = ()
    form: tuple[bytes, ...] = ()
    headers: Headers = ()
    body: bytes = b""
    of_installation: bool = False


def _call(name: bytes, *tokens: bytes, **more: object) -> Seed:
    return Seed(b"/bigbluebutton/api/" + name, name, tokens=tokens, **more)  # type: ignore[arg-type]


def _session_call(name: bytes) -> Seed:
    return Seed(b"/bigbluebutton/api/" + name, tokens=(b"sessionToken=abc",))


_ID = b"meetingID=room-ROOM"
_RECORD_ID = b"recordID=" + b"0123456789" * 4 + b"-1700000000000"
_AUTHORIZATION = (b"authorization", b"Basic " + base64.b64encode(b"fsapi:fsapi-password"))
_CREATE = (_ID, b"name=A+room", b"moderatorPW=mp", b"meta_bbb-origin=Greenlight", b"meta_endCallbackUrl=https://x.example/?a=b")

SEEDS = [
    _call(b"create", *_CREATE),
    _call(b"create", *_CREATE, b"attendeePW=ap", b"record=true", b"meta_server-tag=gpu", b"voiceBridge=71234", b"duration=5"),
    _call(b"create", *_CREATE, method="POST", headers=((b"content-type", XML),), body=SLIDES),
    _call(b"create", method="POST", headers=((b"content-type", FORM),), form=_CREATE),
    _call(b"join", _ID, b"fullName=Ann", b"role=MODERATOR", b"createTime=", b"userID=gl-1", b"userdata-bbb_x=y"),
    _call(b"join", _ID, b"fullName=Ann", b"password=mp", b"redirect=false"),
    _call(b"isMeetingRunning", _ID),
    _call(b"end", _ID, b"password=mp"),
    _call(b"getMeetingInfo", _ID),
    _call(b"getMeetings"),
    _call(b"getSessions"),
    _call(b"insertDocument", _ID, method="POST", headers=((b"content-type", XML),), body=SLIDES),
    _call(b"sendChatMessage", _ID, b"message=Hello", b"userName=Bot"),
    _call(b"getRecordings", b"meetingID=room-ROOM,room-1", b"state=any", b"meta_bbb-origin=%25light", b"offset=0", b"limit=10"),
    _call(b"getRecordings", method="POST", headers=((b"content-type", FORM),), form=(_RECORD_ID, b"meta_x=y")),
    _call(b"publishRecordings", _RECORD_ID, b"publish=false"),
    _call(b"updateRecordings", _RECORD_ID, b"meta_gl-listed=true", b"meta_name=", b"protect=true"),
    _call(b"deleteRecordings", _RECORD_ID),
    _call(b"getRecordingTextTracks", _RECORD_ID),
    _call(
        b"putRecordingTextTrack",
        *(_RECORD_ID, b"kind=subtitles", b"lang=en-US", b"label=English"),
        method="POST",
        headers=((b"content-type", b"multipart/form-data; boundary=x"),),
        body=SUBTITLES,
    ),
    Seed(b"/bigbluebutton/textTrack/" + b"0" * 64 + b"/" + _RECORD_ID[9:] + b"/subtitles_en-US.vtt"),
    _call(b"getUser", b"name=a", of_installation=True),
    _call(b"hooks/create", b"callbackURL=https://x.example/%3Fa%3Db", _ID, b"eventID=meeting-ended,user-joined"),
    _call(b"hooks/list", _ID),
    _call(b"hooks/destroy", b"hookID=1"),
    Seed(b"/bigbluebutton/api/hooks/ping"),
    *(_session_call(name) for name in (b"enter", b"stuns", b"getJoinUrl", b"guestWait", b"signOut")),
    *(Seed(path) for path in (b"/bigbluebutton", b"/bigbluebutton/", b"/bigbluebutton/api", b"/bigbluebutton/api/")),
    *(Seed(path) for path in (b"/livez", b"/readyz", b"/health_check", b"/")),
    Seed(
        b"/fsapi",
        method="POST",
        headers=((b"content-type", FORM), _AUTHORIZATION),
        form=(
            b"section=dialplan",
            b"Caller-Destination-Number=6135551234",
            b"variable_pin=594582149",
            b"Caller-Caller-ID-Name=Ada",
        ),
    ),
]


@dataclass(slots=True)
class Corpus:
    """The seeds, and the addresses that servers were given to call back."""

    random: Random
    callbacks: list[bytes] = field(default_factory=list)

    def seed(self) -> Seed:
        if self.callbacks and self.random.random() < 0.08:
            return self._callback()
        seed = self.random.choice(SEEDS)
        room = b"%d" % self.random.randrange(MEETINGS)
        return replace(seed, tokens=_about(seed.tokens, room), form=_about(seed.form, room))

    def _callback(self) -> Seed:
        path, _, query = self.random.choice(self.callbacks).partition(b"?")
        match self.random.randrange(3):
            case 0:
                return Seed(path, tokens=(query, b"recordingmarks=true", b"meetingID=x"))
            case 1:
                return Seed(path, method="POST", headers=((b"content-type", FORM),), form=(b"signed_parameters=a.b.c",))
            case _:
                headers = ((b"content-type", b"application/json"), (b"authorization", b"Bearer a.b.c"))
                return Seed(path, method="POST", headers=headers, body=b'{"meeting_id":"x","internal_meeting_id":"y","data":{}}')


def _about(tokens: tuple[bytes, ...], room: bytes) -> tuple[bytes, ...]:
    return tuple(token.replace(b"ROOM", room) for token in tokens)
