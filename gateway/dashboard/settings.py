"""The settings of this gateway process, to be read; what is secret of them stays so."""

from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.dashboard.answers import View
from gateway.dashboard.visits import Visit
from meetingpool.domain.parameters import Rule
from meetingpool.domain.rule_notation import written
from meetingpool.settings import Setting, all_settings

# Parts of names of settings whose values nobody is shown.
_SECRET = ("secret", "password", "key", "token")


async def show_settings(visit: Visit) -> View:
    values = [_record(setting, getattr(visit.gateway.settings, setting.name)) for setting in all_settings()]
    text = visit.asked("q").lower()
    found = [each for each in values if text in each["variable"].lower() or text in each["description"].lower()]
    return View(template="settings.html", title="Settings", values={"settings": found, "asked": {"q": visit.asked("q")}})


def _record(setting: Setting, value: Any) -> dict[str, Any]:
    return {
        "variable": setting.variables[0],
        "also": setting.variables[1:],
        "value": _value(setting.name, value),
        "is_default": value == setting.default,
        "description": setting.description,
    }


def _value(name: str, value: Any) -> str:
    if value is None or value in ("", ()):
        return ""
    if name == "database_url":
        parts = urlsplit(value)
        return f"postgresql://{parts.hostname or ''}{parts.path}"
    is_number = isinstance(value, bool | int | float)
    return "set, and not shown" if not is_number and any(word in name for word in _SECRET) else _written(value)


def _written(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case Rule():
            return written(value)
        case Enum() | Path():
            return str(value)
        case frozenset():
            return ", ".join(sorted(map(str, value)))
        case tuple() | list():
            return ", ".join(map(_written, value))
    return str(value)
