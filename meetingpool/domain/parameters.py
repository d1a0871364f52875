"""Rules on the parameters of create and join: what an administrator fills in, enforces, limits, extends or drops.

Read from the settings, applied by the gateway. What the caller may not say is dropped, what is absent is filled in, limits
follow, and overrides come last, as in Scalelite. Of two rules on one parameter the later wins, so the rules of a narrower circle
are put behind those of a wider one.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

# Metadata that Meetingpool adds to a create; neither callers nor rules may set it.
OWN_METADATA_PREFIX = "meetingpool-"

_OWN_PARAMETERS = (f"meta_{OWN_METADATA_PREFIX}", "meta_tenant-")
# What a call is found and verified by.
_IDENTIFYING = {"meetingid": "meetingID", "checksum": "checksum"}

_BROUGHT_ALONG = "userdata-"
_ELEMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")

# The greatest limit: what any BBB can hold.
MAX_CAP = 10**9 - 1


class InvalidRule(ValueError):
    """A sentence that says what is wrong with a rule, without the value it was given."""


class Operator(StrEnum):
    """What a rule does with its parameter. A `cap` is in whole numbers, an `append` adds one item to a list with commas."""

    REMOVE = "remove"
    DEFAULT = "default"
    APPEND = "append"
    CAP = "cap"
    OVERRIDE = "override"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `value` is of no use to `remove`. Raises InvalidRule for a name that rules must leave alone."""

    operator: Operator
    name: str
    value: str = ""

    def __post_init__(self) -> None:
        _require_settable(self.name)
        if self.operator is Operator.CAP and not _positive_number(self.value):
            raise InvalidRule(f"the limit of {self.name} must be a whole number from 1")
        if any("\ud800" <= character <= "\udfff" for character in self.value):
            raise InvalidRule(f"the value of {self.name} is not UTF-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRules:
    """The rules of one circle of callers, by call."""

    create: tuple[Rule, ...] = ()
    join: tuple[Rule, ...] = ()


def read_assignments(operator: Operator, text: str) -> tuple[Rule, ...]:
    """The rules of `name=value,name2=value2`; a value may hold `=`, never `,`. Raises InvalidRule."""
    return tuple(_read_assignment(operator, number, item) for number, item in enumerate(_items(text), 1))


def read_removals(text: str) -> tuple[Rule, ...]:
    """The rules of `name,name2`. Raises InvalidRule."""
    return tuple(Rule(Operator.REMOVE, name) for name in _items(text))


def is_own_parameter(name: str) -> bool:
    """Whether only Meetingpool may set the parameter. BBB ignores the case of metadata names."""
    return name.lower().startswith(_OWN_PARAMETERS)


def can_be_shown(name: str) -> bool:
    """Whether a parameter of join does no harm. What a person brings along becomes the name of an XML element, as it is."""
    brought = name.removeprefix(_BROUGHT_ALONG)
    return brought == name or bool(_ELEMENT_NAME.fullmatch(brought))


def apply_rules(rules: Iterable[Rule], parameters: Mapping[str, str]) -> dict[str, str]:
    """What goes to the server for the `parameters` that came.

    `remove` concerns only what came. A default yields to a parameter that came, even to an empty one. A cap holds for what
    came and for defaults: what is absent, no positive number, or greater becomes the maximum. An override beats everything,
    caps included.
    """
    rules = tuple(rules)
    if not rules:
        return dict(parameters)
    of: dict[Operator, list[Rule]] = {operator: [] for operator in Operator}
    for rule in rules:
        of[rule.operator].append(rule)
    removed = {rule.name for rule in of[Operator.REMOVE]}
    result = _assigned(of[Operator.DEFAULT]) | {name: value for name, value in parameters.items() if name not in removed}
    for rule in of[Operator.APPEND]:
        result[rule.name] = _appended(result.get(rule.name, ""), rule.value)
    for rule in of[Operator.CAP]:
        result[rule.name] = _capped(result.get(rule.name, ""), rule.value)
    return result | _assigned(of[Operator.OVERRIDE])


def first_filled(rules: Sequence[Rule], parameters: Mapping[str, str], name: str) -> str | None:
    """The first value of `name` that is not blank: overrides, the parameter that came, defaults; of each the latest first.

    So a parameter is read that decides something before the call goes out. A removal only keeps it from the server.
    """
    if not rules:
        given = parameters.get(name, "")
        return given if given.strip() else None
    latest_first = [rule for rule in rules if rule.name == name][::-1]
    overrides = [rule.value for rule in latest_first if rule.operator is Operator.OVERRIDE]
    defaults = [rule.value for rule in latest_first if rule.operator is Operator.DEFAULT]
    return next(filter(str.strip, [*overrides, parameters.get(name, ""), *defaults]), None)


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _read_assignment(operator: Operator, number: int, item: str) -> Rule:
    name, equals, value = item.partition("=")
    if not equals:
        raise InvalidRule(f"entry {number} has no '='; write name=value, separated by commas")
    return Rule(operator, name.strip(), value.strip())


def _require_settable(name: str) -> None:
    if not name or not name.isprintable():
        raise InvalidRule("a parameter has no usable name; write name=value, separated by commas")
    if is_own_parameter(name):
        raise InvalidRule(f"{'* and '.join(_OWN_PARAMETERS)}* are Meetingpool's own; leave them out")
    if known := _IDENTIFYING.get(name.lower()):
        raise InvalidRule(f"{known} identifies the call and cannot be changed by a rule; leave it out")


def _assigned(rules: Iterable[Rule]) -> dict[str, str]:
    return {rule.name: rule.value for rule in rules}


def _appended(listed: str, item: str) -> str:
    if not listed.strip():
        return item
    return listed if item in _items(listed) else f"{listed},{item}"


def _capped(value: str, maximum: str) -> str:
    number = _positive_number(value)
    return value if number and number <= int(maximum) else maximum


def _positive_number(text: str) -> int:
    """The number that `text` is; 0 for anything else, and for what BBB could not hold."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_CAP)) else 0
