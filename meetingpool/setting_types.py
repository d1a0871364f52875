"""The types of settings: what may be said, and how it is written where that is a form of its own. Used by the settings alone."""

from collections.abc import Callable, Iterable
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, inspect

from meetingpool.domain.parameters import MAX_CAP, Operator, Rule, read_assignments, read_removals
from meetingpool.domain.regions import Distances, NetworkRegions, RegionNames
from meetingpool.outward.targets import AllowList
from meetingpool.secret_files import read_key_file, read_keys

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


def _entries(check: Callable[[Iterable[str]], object], text: str) -> tuple[str, ...]:
    entries = tuple(filter(None, map(str.strip, text.split(","))))
    check(entries)
    return entries


def _networks(text: str) -> tuple[str, ...]:
    entries = () if text.strip() == "none" else tuple(filter(None, map(str.strip, text.split(","))))
    for entry in entries:
        ip_network(entry)
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
Keys = Annotated[tuple[str, ...], _read_by(read_keys)]
KeyFile = Annotated[tuple[str, ...], _read_by(read_key_file)]
NetworksAndHosts = Annotated[tuple[str, ...], _read_by(_networks_and_hosts)]
Networks = Annotated[tuple[str, ...], _read_by(_networks)]
Paths = Annotated[tuple[Path, ...], _read_by(_paths)]
Location = Annotated[str, Meta(pattern=r"^/[A-Za-z0-9_/-]*[A-Za-z0-9_-]\Z", examples=["/static-resource"])]
Defaults = Annotated[tuple[Rule, ...], _read_by(partial(read_assignments, Operator.DEFAULT))]
Overrides = Annotated[tuple[Rule, ...], _read_by(partial(read_assignments, Operator.OVERRIDE))]
RegionLatency = Annotated[tuple[str, ...], _read_by(partial(_entries, Distances.read))]
RegionNetworks = Annotated[tuple[str, ...], _read_by(partial(_entries, NetworkRegions.read))]
NamesOfRegions = Annotated[tuple[str, ...], _read_by(partial(_entries, RegionNames.read))]
HeaderName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]+\Z")]
CountryField = Literal["country", "continent"]
Removals = Annotated[tuple[Rule, ...], _read_by(read_removals)]


class Setting:
    """One of the settings, as it is read and described. Of its `variables`, the first that is not empty counts."""

    def __init__(self, field: msgspec.structs.FieldInfo) -> None:
        described: Any = inspect.type_info(field.type)
        extra, variable = described.extra or {}, f"MEETINGPOOL_{field.name.upper()}"
        self.name = field.name
        self.variables = (variable, field.name.upper()) if "scalelite" in extra else (variable,)
        self.default = field.default
        self.description: str = described.extra_json_schema["description"]
        self._type = field.type
        self._kind = described.type.types[0] if isinstance(described.type, inspect.UnionType) else described.type
        self._examples: list[str] = described.extra_json_schema.get("examples", [])
        self._reader = extra.get("reader") or READERS.get(type(self._kind), str)

    def read(self, text: str) -> Any:
        """The value that `text` stands for. Raises ValueError with a sentence that says what is allowed."""
        try:
            return msgspec.convert(self._reader(text), self._type)
        except ValueError as error:
            raise ValueError(self._allowed() or str(error)) from None

    def _allowed(self) -> str:
        """What may be said; "" where the reader says what is wrong."""
        match self._kind:
            case inspect.BoolType():
                return "must be true or false"
            case inspect.IntType() | inspect.FloatType() as number:
                what = "a whole number" if isinstance(number, inspect.IntType) else "a number"
                bounds = (("above", number.gt), ("from", number.ge), ("up to", number.le))
                return " ".join(["must be", what, *(f"{word} {bound}" for word, bound in bounds if bound is not None)])
            case inspect.LiteralType() as one:
                return f"must be one of {', '.join(map(str, one.values))}"
            case inspect.FrozenSetType(item_type=inspect.LiteralType() as one):
                return f"must be one or more of {', '.join(map(str, one.values))}, separated by colons"
        return "".join(f"must be like {example}" for example in self._examples)
