"""Where a telephone call goes: decided from the pool in memory, for `gateway.fsapi`, at each step of the call.

A PIN is short enough to be tried out, so wrong ones are counted: by caller, and over all callers, since a caller can claim any
number. Over the limit, a caller hears what is heard at a number that nobody has.
"""

import re
from collections.abc import Mapping

from gateway.basic_authentication import BasicAuthentication
from gateway.throttle import MAX_SOURCE_LENGTH, Throttle, source_of
from meetingpool.bbb.dialplan import NOT_FOUND, Keypad, bridge, prompt, reprompt, shown_caller
from meetingpool.domain.meetings import Meeting
from meetingpool.domain.pool import Pool
from meetingpool.domain.voice_bridges import bridge_of_pin
from meetingpool.logs import get_logger
from meetingpool.settings import Settings

# People mistype, and callers who withhold their number are one source.
WRONG_PINS_OF_A_CALLER, WRONG_PINS_OF_A_CALLER_WITHIN = 10, 300.0
# Of all callers: many at once when a lesson begins, but few in the long run. Nobody gets in for up to a minute then.
WRONG_PINS_OF_ALL, WRONG_PINS_OF_ALL_WITHIN, LONGEST_WAIT_OF_ALL = 60, 600.0, 60.0

USER = "fsapi"
_REALM = "Meetingpool"
_EVERYBODY = "everybody"
_NOT_A_DIGIT = re.compile(r"[^0-9]")
# A number with fewer is a word, such as `anonymous`.
_FEWEST_DIGITS = 3

log = get_logger()


class DialIn:
    """The dial-in of one gateway process. FreeSWITCH comes in by the `door`."""

    def __init__(self, pool: Pool, settings: Settings) -> None:
        password = settings.dial_in_password
        if password == "":
            log.warning("dial_in_needs_no_password")
        self.door = BasicAuthentication(user=USER, password=password, realm=settings.url_host or _REALM)
        self._pool = pool
        self._keypad = Keypad(settings.voice_bridge_min, settings.voice_bridge_max)
        self._hang_up_after = settings.dial_in_seconds
        self._wrong_pins = Throttle(limit=WRONG_PINS_OF_A_CALLER, window=WRONG_PINS_OF_A_CALLER_WITHIN)
        self._all_wrong_pins = Throttle(
            limit=WRONG_PINS_OF_ALL, window=WRONG_PINS_OF_ALL_WITHIN, longest=LONGEST_WAIT_OF_ALL, capacity=1
        )

    def dialplan(self, channel: Mapping[str, str], address: str, now: float) -> bytes:
        """What the call does next. `channel`: what FreeSWITCH says of the call; `address`: where FreeSWITCH is."""
        destination = channel.get("Caller-Destination-Number", "").strip()
        caller = _source(channel, address)
        if channel.get("section") != "dialplan" or not destination or not self._is_welcome(caller, now):
            return NOT_FOUND
        pin = channel.get("variable_pin", "").strip()
        if not pin:
            return prompt(destination, self._keypad, hang_up_after=self._hang_up_after)
        meeting = self._meeting_of(pin)
        if meeting is None:
            return self._after_wrong_pin(caller, now)
        return self._into(meeting, pin, channel)

    def _meeting_of(self, pin: str) -> Meeting | None:
        found = map(self._pool.meeting_with_bridge, bridge_of_pin(pin))
        return next((meeting for meeting in found if meeting), None)

    def _into(self, meeting: Meeting, pin: str, channel: Mapping[str, str]) -> bytes:
        server = self._pool.servers.get(meeting.server_id)
        document = NOT_FOUND
        if server and server.serves_joins:
            meeting_id, caller = meeting.key.meeting_id, _shown_caller(channel)
            document = bridge(meeting_id=meeting_id, caller=caller, pin=pin, host=server.host_name)
        event = "caller_not_bridged" if document == NOT_FOUND else "caller_bridged"
        log.info(event, tenant=meeting.key.tenant, meeting=meeting.key.meeting_id, server=meeting.server_id)
        return document

    def _is_welcome(self, caller: str, now: float) -> bool:
        return not self._all_wrong_pins.retry_after(_EVERYBODY, now) and not self._wrong_pins.retry_after(caller, now)

    def _after_wrong_pin(self, caller: str, now: float) -> bytes:
        self._wrong_pins.note_failure(caller, now)
        self._all_wrong_pins.note_failure(_EVERYBODY, now)
        if self._is_welcome(caller, now):
            return reprompt(self._keypad)
        # Who calls is not for the log.
        wait = self._all_wrong_pins.retry_after(_EVERYBODY, now)
        log.warning("too_many_wrong_pins", of="all callers" if wait else "a caller", seconds=round(wait))
        return NOT_FOUND


def _source(channel: Mapping[str, str], address: str) -> str:
    """Whom a wrong PIN counts against: the number that calls, else the address that the call comes from."""
    digits = _NOT_A_DIGIT.sub("", channel.get("Caller-Caller-ID-Number", "")[:MAX_SOURCE_LENGTH])
    if len(digits) >= _FEWEST_DIGITS:
        return digits
    return source_of(channel.get("Caller-Network-Addr", "") or address)


def _shown_caller(channel: Mapping[str, str]) -> str:
    return shown_caller(
        channel.get("Caller-Caller-ID-Name", ""),
        hides_name=_says(channel, "Caller-Privacy-Hide-Name"),
        hides_number=_says(channel, "Caller-Privacy-Hide-Number"),
    )


def _says(channel: Mapping[str, str], name: str) -> bool:
    return channel.get(name, "").lower() == "true"
