"""The dialplans that FreeSWITCH gets from the gateway: what to play to a caller, and to which server to take the call.

FreeSWITCH reads the data of an action as a language of its own: it expands `${…}`, and gives a meaning to backslashes, commas,
quotes and brackets. What came from outside is therefore reduced to characters that mean nothing there, or there is no dialplan.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from meetingpool.bbb import xml

NOT_FOUND = xml.write(
    "document",
    [("section", [("result", None, {"status": "not found"})], {"name": "result"})],
    {"type": "freeswitch/xml"},
)

UNAVAILABLE = "Unavailable"
MAX_CALLER_LENGTH = 64

_DESTINATION = re.compile(r"[+0-9*#]{1,32}")
_PIN = re.compile(r"[0-9]{1,32}")
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9a-f:.]+")
_NOT_IN_MEETING_ID = re.compile(r"[^A-Za-z0-9_.-]")
_NOT_IN_CALLER = str.maketrans("", "", "${}\\,;'\"<>[]()|^&%")

# Digits, however they are grouped.
_NUMBER = re.compile(r"[\d +./-]*\d[\d +./-]*")
_LAST_FOUR_DIGITS = re.compile(r"\d(?=(\D*\d){0,3}\D*$)")

_TRIES = 3
_PATIENCE_MS = 7000

_Action = tuple[str, str | None]


class Keypad(NamedTuple):
    """How many digits the prompt takes, at least and at most."""

    shortest: int
    longest: int


def prompt(destination: str, keypad: Keypad, *, hang_up_after: int) -> bytes:
    """Answers a call to the number `destination` and asks for a PIN. `hang_up_after` in seconds, 0 for never."""
    if not _DESTINATION.fullmatch(destination):
        return NOT_FOUND
    hang_up: list[_Action] = [("sched_hangup", f"+{hang_up_after} normal_clearing")] if hang_up_after else []
    return _dialplan(
        "Match DID and Pin for Conference",
        "match_did_and_prompt_for_pin",
        [
            ("answer", None),
            *hang_up,
            ("sleep", "500"),
            ("playback", "ivr/ivr-welcome.wav"),
            ("sleep", "200"),
            *_ask_for_pin(keypad),
        ],
        {"field": "destination_number", "expression": f"^{_as_expression(destination)}$"},
    )


def reprompt(keypad: Keypad) -> bytes:
    """Tells a caller that the PIN was wrong, and asks again."""
    return _dialplan(
        "Reprompt Pin for Conference",
        "reprompt_for_pin",
        [("playback", "conference/conf-bad-pin.wav"), ("sleep", "500"), *_ask_for_pin(keypad)],
    )


def bridge(*, meeting_id: str, caller: str, pin: str, host: str) -> bytes:
    """Takes the call to `pin` on the server at `host`. `caller` is as `shown_caller` gave it."""
    dialled = _dialled_host(host)
    if not _PIN.fullmatch(pin) or dialled is None:
        return NOT_FOUND
    return _dialplan(
        "Bridge Call to BBB Server",
        "bridge_to_bbb_server",
        [
            ("set", f"meeting_id={_NOT_IN_MEETING_ID.sub('_', meeting_id)}"),
            ("set", f"effective_caller_id_name={_plain(caller) or UNAVAILABLE}"),
            ("bridge", f"sofia/external/{pin}@{dialled}"),
        ],
    )


def shown_caller(name: str, *, hides_name: bool, hides_number: bool) -> str:
    """What the others in the meeting see of a caller: the name, or the number without its last four digits."""
    plain = _plain(name)
    if not plain or (hides_number if _NUMBER.fullmatch(plain) else hides_name):
        return UNAVAILABLE
    return _LAST_FOUR_DIGITS.sub("X", plain) if _NUMBER.fullmatch(plain) else plain


def _plain(text: str) -> str:
    printable = "".join(character for character in text if character.isprintable())
    return printable.translate(_NOT_IN_CALLER).strip()[:MAX_CALLER_LENGTH].rstrip()


def _as_expression(destination: str) -> str:
    # Characters stand in classes, as a backslash would be read by more than the regular expression.
    return "".join(f"[{character}]" if character in "+*" else character for character in destination)


def _dialled_host(host: str) -> str | None:
    """The host as it can stand in a SIP address: an IPv6 address in brackets, an international name in ASCII."""
    try:
        name = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return None
    if not _HOST.fullmatch(name):
        return None
    return f"[{name}]" if ":" in name else name


def _ask_for_pin(keypad: Keypad) -> list[_Action]:
    sounds = "conference/conf-enter_conf_pin.wav conference/conf-bad-pin.wav"
    return [
        ("play_and_get_digits", f"{keypad.shortest} {keypad.longest} {_TRIES} {_PATIENCE_MS} # {sounds} pin \\d+"),
        ("transfer", "${pin} XML public"),
    ]


def _dialplan(description: str, extension: str, actions: Sequence[_Action], condition: xml.Attributes | None = None) -> bytes:
    """A document with one extension. Without a condition it is for every call."""
    inner: xml.Field = ("condition", [_action(*action) for action in actions], condition or {})
    for name, attributes in (
        ("extension", {"name": extension}),
        ("context", {"name": "public"}),
        ("section", {"name": "dialplan", "description": description}),
    ):
        inner = (name, [inner], attributes)
    return xml.write("document", [inner], {"type": "freeswitch/xml"})


def _action(application: str, data: str | None) -> xml.Field:
    return "action", None, {"application": application} if data is None else {"application": application, "data": data}
