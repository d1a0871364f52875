"""What a repeated create says again as the first one did: passwords, voice bridge and metadata.

BBB refuses a repeat with other passwords, and a meeting whose create was lost on the way must come out as it would have the first
time. A password that the caller gives is the caller's own word, though: if it is another one, BBB shall say so.
"""

from collections.abc import Callable, Mapping

from meetingpool.domain.parameters import OWN_METADATA_PREFIX

PASSWORDS = ("attendeePW", "moderatorPW")
VOICE_BRIDGE = "voiceBridge"
# A number of the meeting that the server makes, in the addresses that it calls: one that is made anew calls others.
MARK = f"meta_{OWN_METADATA_PREFIX}mark"
_STATED_ONCE = ("dialNumber",)
_METADATA_PREFIX = "meta_"


def first_said(parameters: Mapping[str, str], *, voice_bridge: str, mark: str, new_password: Callable[[], str]) -> dict[str, str]:
    """What is to be remembered of a meeting's first create.

    BBB takes a repeat without passwords for the same meeting, but not one with one of two: the other is made up here.
    """
    said = _given_passwords(parameters)
    if said:
        said |= {name: new_password() for name in PASSWORDS if name not in said}
    said |= {VOICE_BRIDGE: voice_bridge, MARK: mark}
    return said | {name: value for name, value in parameters.items() if _is_stated(name)}


def said_again(parameters: Mapping[str, str], first: Mapping[str, str]) -> dict[str, str]:
    """The parameters of a repeat: what the first create said, except for passwords that are given now."""
    kept = {name: value for name, value in parameters.items() if not _is_stated(name)}
    return {**kept, **first, **_given_passwords(parameters)}


def said_anew(parameters: Mapping[str, str], first: Mapping[str, str], *, mark: str) -> dict[str, str]:
    """The parameters of a create of a meeting that is over: everything as it is given now, the rest as it was."""
    secrets = {name: value for name, value in first.items() if not _is_stated(name)}
    return {**parameters, **secrets, **_given_passwords(parameters), MARK: mark}


def to_remember(parameters: Mapping[str, str]) -> dict[str, str]:
    """What of the parameters that are sent a repeat must say again."""
    return {name: value for name, value in parameters.items() if name in (*PASSWORDS, VOICE_BRIDGE) or _is_stated(name)}


def says_other(parameters: Mapping[str, str], first: Mapping[str, str]) -> bool:
    """Whether the caller wants the meeting described in another way than the first create did."""
    return _description(parameters) != _description(first)


def _description(parameters: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if _is_stated(name) and name != MARK}


def _given_passwords(parameters: Mapping[str, str]) -> dict[str, str]:
    return {name: parameters[name] for name in PASSWORDS if parameters.get(name)}


def _is_stated(name: str) -> bool:
    return name.startswith(_METADATA_PREFIX) or name in _STATED_ONCE
