"""The types of settings: what may be said, and how it is written where that is a form of its own. Used by the settings alone."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta, inspect

from meetingpool.domain.parameters import MAX_CAP, Operator, Rule, read_assignments, read_removals
from meetingpool.outward.targets import AllowList

# Scalelite has the setting too: its name, which is ours without the prefix, counts where ours is not set.
SCALELITE = Meta(extra={"scalelite": True})

_TRUE = ("1", "true", "t", "yes", "y", "on")
_FALSE = ("0", "false", "f", "no", "n", "off")
_BOOLEANS = dict.fromkeys(_TRUE, True) | dict.fromkeys(_FALSE, False)

# Where text is not the value yet, and the type has no reader of its own.
READERS: dict[type[inspect.Type], Callable[[str], object]] = {
    inspect.BoolType: lambda text: _BOOLEANS.get(text.lower()),
    inspect.IntType: int,
    inspect.FloatType: float,
    inspect.CustomType: Path,
}


def _read_by(reader: Callable[[str], object]) -> Meta:
    """For what is written in a form of its own. A ValueError of `reader` is a sentence that holds no secret."""
    return Meta(extra={"reader": reader})


def _host(text: str) -> str:
    # Scalelite writes tcp://0.0.0.0:3000; the port of it is in PORT as well.
    return urlsplit(text).hostname or "" if "://" in text else text


def _algorithms(text: str) -> frozenset[str]:
    return frozenset(filter(None, text.lower().split(":")))


def _networks_and_hosts(text: str) -> tuple[str, ...]:
    entries = tuple(filter(None, map(str.strip, text.split(","))))
    AllowList.read(entries)
    return entries


def _paths(text: str) -> tuple[Path, ...]:
    return tuple(map(Path, filter(None, text.split(":"))))


ChecksumAlgorithm = Literal["sha1", "sha256", "sha384", "sha512"]
LogFormat = Literal["json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]

DatabaseUrl = Annotated[str, Meta(pattern=r"^postgresql(\+asyncpg)?://")]
HostName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]+\Z")]
WebAddress = Annotated[str, Meta(pattern=r"^https?://[^\s/?#@]+/?\Z")]
Host = Annotated[str, Meta(min_length=1), _read_by(_host)]
Minutes = Annotated[int, Meta(ge=0, le=MAX_CAP)]
Algorithms = Annotated[frozenset[ChecksumAlgorithm], Meta(min_length=1), _read_by(_algorithms)]
NetworksAndHosts = Annotated[tuple[str, ...], _read_by(_networks_and_hosts)]
Paths = Annotated[tuple[Path, ...], _read_by(_paths)]
Location = Annotated[str, Meta(pattern=r"^/[A-Za-z0-9_/-]*[A-Za-z0-9_-]\Z", examples=["/static-resource"])]
Defaults = Annotated[tuple[Rule, ...], _read_by(partial(read_assignments, Operator.DEFAULT))]
Overrides = Annotated[tuple[Rule, ...], _read_by(partial(read_assignments, Operator.OVERRIDE))]
Removals = Annotated[tuple[Rule, ...], _read_by(read_removals)]
