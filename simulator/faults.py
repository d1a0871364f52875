"""Everything that can be made to go wrong with a simulated server, as one value.

Tests and the HTTP control set it; the application reads it at every call.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

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


NO_FAULTS = Faults()


def read_faults(values: Mapping[str, Any]) -> Faults:
    """The faults that a JSON object describes. Raises InvalidFaults for an unknown field or a value of the wrong kind."""
    if unknown := sorted(values.keys() - {field.name for field in fields(Faults)}):
        known = ", ".join(field.name for field in fields(Faults))
        raise InvalidFaults(f"There is no fault named {unknown[0]!r}. Use one of: {known}.")
    return Faults(**{name: _read_value(name, value) for name, value in values.items()})


def as_json(faults: Faults) -> dict[str, Any]:
    values = {field.name: getattr(faults, field.name) for field in fields(Faults)}
    return {**values, "calls": sorted(faults.calls)}


def _read_value(name: str, value: Any) -> Any:
    match name:
        case "calls":
            return _read_calls(value)
        case "body":
            _require(value is None or value in get_args(BrokenBody), name, f"one of {', '.join(get_args(BrokenBody))}")
        case "http_status":
            _require(value is None or (_is_number(value, int) and 200 <= value <= 599), name, "a number from 200 to 599")
        case "probability":
            _require(_is_number(value, int, float) and 0 <= value <= 1, name, "a number from 0 to 1")
        case "latency" | "reply_delay":
            _require(_is_number(value, int, float) and value >= 0, name, "a number of seconds, 0 or more")
        case _:
            _require(isinstance(value, bool), name, "true or false")
    return value


def _read_calls(value: Any) -> frozenset[str]:
    _require(isinstance(value, list) and all(isinstance(call, str) for call in value), "calls", "a list of call names")
    return frozenset(value)


def _is_number(value: Any, *kinds: type) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _require(is_right: bool, name: str, expected: str) -> None:
    if not is_right:
        raise InvalidFaults(f"The value of {name!r} is not usable. Use {expected}.")
