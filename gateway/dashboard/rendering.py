"""Templates, and how they show numbers, times and names. Everything that comes from outside is escaped where it is put in."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gateway.dashboard.charts import chart, load_bar

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
_UNITS = ("B", "kB", "MB", "GB", "TB")


class Fragments(dict[str, str]):
    """The parts of a page that change while it is looked at, by their ids. A template makes one by calling this."""

    def __call__(self, name: str, tag: str = "div", kind: str = "", *, caller: Callable[[], str]) -> Markup:
        """An element with the id `name` around what the template holds; `kind`: its class."""
        kind = Markup(' class="{}"').format(kind) if kind else Markup("")
        html = Markup('<{0} id="{1}"{2}>{3}</{0}>').format(tag, name, kind, caller())
        self[name] = html
        return html


@cache
def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "number": number,
        "tenths": tenths,
        "size": size,
        "moment": moment,
        "ago": ago,
        "duration": duration,
        "counted": counted,
        "shown": shown,
    }
    made.globals |= {"static": static_address, "chart": chart, "load_bar": load_bar}
    return made


@cache
def static_address(name: str) -> str:
    """Where a file of ours is; another address whenever it changes, so that browsers may keep it."""
    return f"/dashboard/static/{sha256((STATIC / name).read_bytes()).hexdigest()[:12]}/{name}"


def number(value: float) -> str:
    return f"{value:,.0f}".replace(",", "\u202f")


def tenths(value: float) -> str:
    return f"{value:,.1f}".replace(",", "\u202f")


def size(count: float) -> str:
    """Bytes, as people read them."""
    power = min(max(len(str(int(count))) - 1, 0) // 3, len(_UNITS) - 1)
    scaled = count / 1000**power
    return f"{scaled:.1f} {_UNITS[power]}" if power and scaled < 100 else f"{scaled:.0f} {_UNITS[power]}"


def moment(at: datetime | None) -> Markup:
    """A time in UTC; a script shows it in the time zone of who looks."""
    return _time(at, "%Y-%m-%d %H:%M", "at")


def ago(at: datetime | None) -> Markup:
    """As `moment`, and a script says how long ago it was."""
    return _time(at, "%Y-%m-%d %H:%M:%S", "ago")


def duration(seconds: float) -> str:
    """The two largest units: `3 d 4 h`."""
    minutes = int(seconds) // 60
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


def counted(count: int, one: str, many: str) -> str:
    return f"{number(count)} {one if count == 1 else many}"


def shown(value: Any) -> str:
    """A value of JSON, as people read it."""
    match value:
        case None | "" | []:
            return "none"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(shown, value))
        case dict():
            return ", ".join(f"{name}: {shown(each)}" for name, each in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _time(at: datetime | None, style: str, kind: str) -> Markup:
    if at is None:
        return Markup('<span class="none">never</span>')
    at = at.astimezone(UTC)
    text = at.strftime(style)
    element = Markup('<time class="{}" datetime="{:%Y-%m-%dT%H:%M:%SZ}" title="{} UTC">{}</time>')
    return element.format(kind, at, text, text)
