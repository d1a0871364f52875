"""Everything that can be made to go wrong with a simulated server: one value for what it is asked, one for what it tells others.

Tests and the HTTP control set them; the application reads the first at every call, the server the second before it tells anybody
anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar, get_args

from simulator.outward_calls import OutwardKind

BrokenBody = Literal["html", "truncated", "empty_meetings", "failed", "garbage"]


class InvalidFaults(ValueError):
    """A sentence that says which field is wrong and what it may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Faults of one server; the defaults are a healthy one. Durations are in seconds.

    Not acted upon by the server: `drop_before` (connection closed), `hang` (accepted, never answered), `http_status`
    (an HTML error page) and `body="failed"`. Acted upon, then spoilt: `drop_after` (closed without a reply), the other
    `body` values, `hang_mid_body` (half of the reply, then silence) and `drip` (one byte per second). `latency` passes before
    the server acts, `reply_delay` between acting and replying. `refuse` closes the port.

    `calls` names the calls affected (none: all of them; `index` and `html5client` are names too), `probability` how many.
    """

    latency: float = 0.0
    reply_delay: float = 0.0
    hang: bool = False
    hang_mid_body: bool = False
    drip: bool = False
    drop_before: bool = False
    drop_after: bool = False
    http_status: int | None = None
    body: BrokenBody | None = None
    refuse: bool = False
    calls: frozenset[str] = frozenset()
    probability: float = 1.0

    def affect(self, call: str) -> bool:
        return not self.calls or call in self.calls


@dataclass(frozen=True, slots=True, kw_only=True)
class OutwardFaults:
    """Faults of the calls that one server makes by itself; the defaults are a healthy one.

    `wrong_signature`: signed with another secret; meeting_ended and end_callback are not signed at all. `twice`: made again
    after it succeeded. `delay`: seconds before the first attempt. `never`: not made.

    `kinds` names the calls affected (none: all of them).
    """

    wrong_signature: bool = False
    twice: bool = False
    delay: float = 0.0
    never: bool = False
    kinds: frozenset[OutwardKind] = frozenset()

    def affect(self, kind: OutwardKind) -> bool:
        return not self.kinds or kind in self.kinds


NO_FAULTS = Faults()
NO_OUTWARD_FAULTS = OutwardFaults()

_AnyFaults = TypeVar("_AnyFaults", Faults, OutwardFaults)


def read_faults(values: Mapping[str, Any]) -> Faults:
    """The faults that a JSON object describes. Raises InvalidFaults for an unknown field or a value of the wrong kind."""
    return _read(Faults, values)


def read_outward_faults(values: Mapping[str, Any]) -> OutwardFaults:
    """As `read_faults`."""
    return _read(OutwardFaults, values)


def as_json(faults: Faults | OutwardFaults) -> dict[str, Any]:
    values = {field.name: getattr(faults, field.name) for field in fields(faults)}
    return {name: sorted(value) if isinstance(value, frozenset) else value for name, value in values.items()}


def _read(kind: type[_AnyFaults], values: Mapping[str, Any]) -> _AnyFaults:
    known = [field.name for field in fields(kind)]
    if unknown := sorted(values.keys() - set(known)):
        raise InvalidFaults(f"There is no fault named {unknown[0]!r}. Use one of: {', '.join(known)}.")
    return kind(**{name: _read_value(name, value) for name, value in values.items()})


def _read_value(name: str, value: Any) -> Any:
    match name:
        case "calls":
            return _read_calls(value)
        case "kinds":
            return _read_kinds(value)
        case "body":
            _require(value is None or value in get_args(BrokenBody), name, f"one of {', '.join(get_args(BrokenBody))}")
        case "http_status":
            _require(value is None or (_is_number(value, int) and 200 <= value <= 599), name, "a number from 200 to 599")
        case "probability":
            _require(_is_number(value, int, float) and 0 <= value <= 1, name, "a number from 0 to 1")
        case "latency" | "reply_delay" | "delay":
            _require(_is_number(value, int, float) and value >= 0, name, "a number of seconds, 0 or more")
        case _:
            _require(isinstance(value, bool), name, "true or false")
    return value


def _read_calls(value: Any) -> frozenset[str]:
    _require(isinstance(value, list) and all(isinstance(call, str) for call in value), "calls", "a list of call names")
    return frozenset(value)


def _read_kinds(value: Any) -> frozenset[OutwardKind]:
    known = [str(kind) for kind in OutwardKind]
    _require(isinstance(value, list) and all(kind in known for kind in value), "kinds", f"a list of {', '.join(known)}")
    return frozenset(OutwardKind(kind) for kind in value)


def _is_number(value: Any, *kinds: type) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _require(is_right: bool, name: str, expected: str) -> None:
    if not is_right:
        raise InvalidFaults(f"The value of {name!r} is not usable. Use {expected}.")
