"""One BBB server: its clock, its meetings, what it was asked, whom it tells what, and what is wrong with it.

The fleet makes them, the API calls change them, and tests look into them and set them up directly.
"""

import string
import uuid
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any
from urllib.parse import urlsplit

from meetingpool.bbb.checksum import Algorithm
from meetingpool.clock import Clock
from simulator import events
from simulator.faults import NO_FAULTS, NO_OUTWARD_FAULTS, Faults, OutwardFaults
from simulator.hooks import Hook, hook_call
from simulator.meetings import MeetingSettings, PastMeeting, Person, Role, SimulatedMeeting
from simulator.outward_calls import OutwardCall, OutwardKind, analytics_call, meeting_ended_calls, recording_ready_call
from simulator.refusals import VoiceBridgeInUse

MAX_REQUESTS_KEPT = 100_000
MAX_PAST_MEETINGS = 10_000
FORCIBLY_ENDED_SECONDS = 60

_SHARE_LISTENING_ONLY = 0.15
_SHARE_WITH_VIDEO = 0.4


@dataclass(frozen=True, slots=True)
class ReceivedCall:
    """A call that a server began to work on. `at` is the server's own time in seconds since 1970.

    `content_type` without its parameters, in lower case.
    """

    call: str
    parameters: Mapping[str, str]
    at: float
    body: bytes = b""
    content_type: str = ""


class UnknownMeeting(LookupError):
    """No such meeting is, or was, on the server."""


class SimulatedServer:
    """The state of one server. `strict`: a repeated create with other passwords is refused, as BBB does.

    Without `has_webhooks` there is no bbb-webhooks beside it: no hooks calls, no events. `hook_algorithm` signs the events; None
    sends the secret as a bearer token instead. `retry_factor` stretches the pauses before a call to others is repeated; near 0
    they vanish.
    """

    def __init__(self, *, name: str, secret: str, origin: str, clock: Clock, random: Random, version: str) -> None:
        self.name = name
        self.secret = secret
        self.origin = origin
        self.version = version
        self.strict = True
        self.has_webhooks = True
        self.hook_algorithm: Algorithm | None = Algorithm.SHA1
        self.retry_factor = 1.0
        self.faults = NO_FAULTS
        self.outward_faults = NO_OUTWARD_FAULTS
        self.clock_offset = 0.0
        self.meetings: dict[str, SimulatedMeeting] = {}
        self.requests: deque[ReceivedCall] = deque(maxlen=MAX_REQUESTS_KEPT)
        self.past_meetings: dict[str, PastMeeting] = {}
        self.hooks: dict[str, Hook] = {}
        self.outward_counts: Counter[str] = Counter()
        self.on_request: Callable[[SimulatedServer, str], None] | None = None
        self.on_outward_call: Callable[[OutwardCall], None] | None = None
        self.on_recorded: Callable[[PastMeeting], None] | None = None
        self._clock = clock
        self._random = random
        self._meeting_of_session: dict[str, SimulatedMeeting] = {}
        self._forcibly_ended: dict[str, float] = {}

    @property
    def url(self) -> str:
        """The address of the API, as a front end or a load balancer is given it."""
        return f"{self.origin}/bigbluebutton/api/"

    @property
    def people_count(self) -> int:
        return sum(len(meeting.people) for meeting in self.meetings.values())

    def epoch(self) -> float:
        """The server's own time in seconds since 1970, wrong by `clock_offset`."""
        return self._clock.epoch() + self.clock_offset

    def count(self, call: str) -> int:
        """How many calls named `call` this server began to work on."""
        return sum(received.call == call for received in self.requests)

    def counts(self) -> Counter[str]:
        return Counter(received.call for received in self.requests)

    def record(self, call: str, parameters: Mapping[str, str], body: bytes, content_type: str) -> None:
        self.requests.append(ReceivedCall(call, parameters, self.epoch(), body, content_type))

    def faults_of(self, call: str) -> Faults:
        """The faults that hit this one call."""
        faults = self.faults
        if faults is NO_FAULTS or not faults.affect(call):
            return NO_FAULTS
        return faults if faults.probability >= 1 or self._random.random() < faults.probability else NO_FAULTS

    def create_meeting(
        self,
        meeting_id: str,
        *,
        name: str | None = None,
        people: int = 0,
        attendee_password: str = "",
        moderator_password: str = "",
        metadata: Mapping[str, str] | None = None,
        parent: SimulatedMeeting | None = None,
    ) -> SimulatedMeeting:
        """Puts a meeting with `people` in it, the first a moderator, on this server without any call."""
        meeting = self.open_meeting(
            MeetingSettings(
                meeting_id=meeting_id,
                name=name or meeting_id,
                attendee_password=attendee_password or self.random_text(8),
                moderator_password=moderator_password or self.random_text(8),
                voice_bridge=self.free_voice_bridge(),
                metadata=metadata or {},
                parent=parent.internal_id if parent else None,
            )
        )
        for number in range(people):
            self.add_person(meeting, f"Person {number + 1}", Role.VIEWER if number else Role.MODERATOR)
        return meeting

    def open_meeting(self, settings: MeetingSettings) -> SimulatedMeeting:
        """Raises VoiceBridgeInUse."""
        if any(settings.voice_bridge == meeting.settings.voice_bridge for meeting in self.meetings.values()):
            raise VoiceBridgeInUse
        meeting = SimulatedMeeting(settings, created_ms=self._epoch_ms(), opened_at=self._clock.monotonic())
        self.meetings[settings.meeting_id] = meeting
        self._forcibly_ended.pop(settings.meeting_id, None)
        if parent := self.parent_of(meeting):
            parent.add_breakout_room(meeting.internal_id)
        self._tell_hooks(events.meeting_created(meeting, at_ms=self._epoch_ms()))
        return meeting

    def add_person(self, meeting: SimulatedMeeting, full_name: str, role: Role = Role.VIEWER) -> Person:
        """Somebody who is in at once."""
        person = self.let_in(meeting, full_name, role)
        self.arrive(person.session_token)
        return person

    def let_in(
        self,
        meeting: SimulatedMeeting,
        full_name: str,
        role: Role,
        *,
        user_id: str = "",
        custom_data: Mapping[str, str] | None = None,
    ) -> Person:
        """Gives somebody a session. They are in the meeting when they arrive with it."""
        internal_id = f"w_{self.random_text(12).lower()}"
        is_listening_only = self._random.random() < _SHARE_LISTENING_ONLY
        person = Person(
            user_id=user_id or internal_id,
            internal_id=internal_id,
            full_name=full_name,
            role=role,
            session_token=self.random_text(16).lower(),
            auth_token=self.random_text(12).lower(),
            is_listening_only=is_listening_only,
            has_joined_voice=not is_listening_only and self._random.random() < 0.9,
            has_video=self._random.random() < _SHARE_WITH_VIDEO,
            custom_data=custom_data or {},
        )
        meeting.waiting[person.session_token] = person
        self._meeting_of_session[person.session_token] = meeting
        return person

    def arrive(self, session_token: str) -> bool:
        """Whether the session is known; its person is now in the meeting."""
        meeting = self._meeting_of_session.get(session_token)
        if meeting is None:
            return False
        if person := meeting.arrive(session_token, self.epoch()):
            self._tell_hooks(events.user_joined(meeting, person, at_ms=self._epoch_ms()))
        return True

    def leave(self, session_token: str) -> None:
        meeting = self._meeting_of_session.pop(session_token, None)
        if meeting and (person := meeting.leave(session_token, self._clock.monotonic(), self.epoch())):
            self._tell_hooks(events.user_left(meeting, person, at_ms=self._epoch_ms()))

    def find(self, meeting_id: str) -> SimulatedMeeting | None:
        """By external or internal id."""
        if found := self.meetings.get(meeting_id):
            return found
        return next((meeting for meeting in self.meetings.values() if meeting.internal_id == meeting_id), None)

    def parent_of(self, meeting: SimulatedMeeting) -> SimulatedMeeting | None:
        return self.find(meeting.settings.parent) if meeting.settings.parent else None

    def end(self, meeting: SimulatedMeeting) -> None:
        """Ends a meeting, its breakout rooms included, as a moderator or the API does."""
        self._forcibly_ended = {ended: at for ended, at in self._forcibly_ended.items() if self.was_forcibly_ended(ended)}
        self._forcibly_ended[meeting.meeting_id] = self._clock.monotonic()
        self._remove(meeting)

    def was_forcibly_ended(self, meeting_id: str) -> bool:
        """Whether it was ended within the last minute; BBB forgets it then."""
        ended_at = self._forcibly_ended.get(meeting_id)
        return ended_at is not None and self._clock.monotonic() - ended_at < FORCIBLY_ENDED_SECONDS

    def expire_meetings(self) -> None:
        """Drops what is over by now. The application calls it before every call, the fleet every now and then."""
        now = self._clock.monotonic()
        for meeting in [meeting for meeting in self.meetings.values() if meeting.has_expired(now)]:
            self._remove(meeting)

    def add_hook(
        self,
        callback_url: str,
        *,
        meeting_id: str | None = None,
        event_ids: Sequence[str] = (),
        wants_raw: bool = False,
        is_permanent: bool = False,
    ) -> Hook:
        """Registers a webhook, whoever else has registered the URL. `event_ids` in lower case."""
        hook = Hook(
            id=str(uuid.UUID(int=self._random.getrandbits(128), version=4)),
            callback_url=callback_url,
            meeting_id=meeting_id,
            event_ids=tuple(event_ids),
            wants_raw=wants_raw,
            is_permanent=is_permanent,
        )
        self.hooks[hook.id] = hook
        return hook

    def publish_recording(self, internal_id: str, playback_format: str = "presentation") -> None:
        """Tells of one format of the recording of a meeting that is over, recorded or not, as when its publishing has ended.

        Who asked for it at the create gets a call for each format; webhooks hear of it too. Raises UnknownMeeting.
        """
        meeting = self.past_meetings.get(internal_id)
        if meeting is None:
            raise UnknownMeeting("No meeting with that id has ended here. Use the internalMeetingID of one that has.")
        self._tell_hooks(events.recording_published(meeting, playback_format, at_ms=self._epoch_ms()))
        self._call_out(recording_ready_call(meeting, secret=self._signing_secret(OutwardKind.RECORDING_READY)))

    def send_event(
        self,
        event_id: str,
        meeting_id: str,
        attributes: Mapping[str, Any] | None = None,
        raw: Mapping[str, Any] | None = None,
    ) -> None:
        """Sends any event about a meeting, named by either id and possibly over, to the webhooks that want it.

        Hooks that want raw data get `raw`, or nothing without it. Raises UnknownMeeting.
        """
        meeting = self.find(meeting_id) or self._past_meeting(meeting_id)
        if meeting is None:
            raise UnknownMeeting("No meeting with that id is or was here. Use its meetingID or its internalMeetingID.")
        self._tell_hooks(events.event(event_id, meeting, attributes or {}, at_ms=self._epoch_ms(), raw=raw))

    def forget_everything(self) -> None:
        """What a reboot does to the state: no meeting has ended, so nobody is told. Past meetings are in files and stay.

        What was asked of the server stays known too, for assertions, and so do the hooks of its configuration.
        """
        self.hooks = {hook.id: hook for hook in self.hooks.values() if hook.is_permanent}
        self.meetings.clear()
        self._meeting_of_session.clear()
        self._forcibly_ended.clear()

    def random_text(self, length: int) -> str:
        return "".join(self._random.choices(string.ascii_letters + string.digits, k=length))

    def free_voice_bridge(self) -> str:
        taken = {meeting.settings.voice_bridge for meeting in self.meetings.values()}
        while (bridge := str(self._random.randint(10_000, 99_999))) in taken:
            pass
        return bridge

    def _remove(self, meeting: SimulatedMeeting) -> None:
        if self.meetings.pop(meeting.meeting_id, None) is None:
            return
        for session_token in (*meeting.people, *meeting.waiting):
            self._meeting_of_session.pop(session_token, None)
        for room in filter(None, map(self.find, meeting.breakout_rooms)):
            self._remove(room)
        parent = self.parent_of(meeting)
        if parent and meeting.internal_id in parent.breakout_rooms:
            parent.remove_breakout_room(meeting.internal_id)
        past = self._remember(meeting)
        self._tell_of_end(meeting)
        if meeting.has_recording_marks and self.on_recorded:
            self.on_recorded(past)

    def _remember(self, meeting: SimulatedMeeting) -> PastMeeting:
        past = PastMeeting(
            settings=meeting.settings,
            internal_id=meeting.internal_id,
            created_ms=meeting.created_ms,
            ended_ms=self._epoch_ms(),
            participants=meeting.visit_count,
            breakout_rooms=tuple(meeting.breakout_rooms),
        )
        self.past_meetings[meeting.internal_id] = past
        if len(self.past_meetings) > MAX_PAST_MEETINGS:
            del self.past_meetings[next(iter(self.past_meetings))]
        return past

    def _past_meeting(self, meeting_id: str) -> PastMeeting | None:
        """By either id; of those with one external id the last."""
        past = reversed(self.past_meetings.values())
        return next((meeting for meeting in past if meeting_id in (meeting.meeting_id, meeting.internal_id)), None)

    def _tell_of_end(self, meeting: SimulatedMeeting) -> None:
        for call in meeting_ended_calls(meeting):
            self._call_out(call)
        self._call_out(analytics_call(meeting, ended_at=self.epoch(), secret=self._signing_secret(OutwardKind.ANALYTICS)))
        self._tell_hooks(events.meeting_ended(meeting, at_ms=self._epoch_ms()))

    def _tell_hooks(self, event: events.Event) -> None:
        if not self.has_webhooks:
            return
        for hook in [hook for hook in self.hooks.values() if hook.wants(event)]:
            self._call_out(
                hook_call(
                    hook,
                    [event],
                    domain=urlsplit(self.origin).hostname or self.origin,
                    timestamp_ms=self._epoch_ms(),
                    secret=self._signing_secret(OutwardKind.WEBHOOK),
                    algorithm=self.hook_algorithm,
                )
            )

    def _call_out(self, call: OutwardCall | None) -> None:
        if call is None or self.on_outward_call is None:
            return
        faults = self._outward_faults_of(call.kind)
        if not faults.never:
            self.on_outward_call(replace(call, delay=faults.delay, is_sent_twice=faults.twice))

    def _signing_secret(self, kind: OutwardKind) -> str:
        return f"not {self.secret}" if self._outward_faults_of(kind).wrong_signature else self.secret

    def _outward_faults_of(self, kind: OutwardKind) -> OutwardFaults:
        return self.outward_faults if self.outward_faults.affect(kind) else NO_OUTWARD_FAULTS

    def _epoch_ms(self) -> int:
        return int(self.epoch() * 1000)
