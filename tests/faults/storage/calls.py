"""The calls of an operation, from the shim's log, and what a power cut may make of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from meetingpool.domain.recordings import Location
from meetingpool.library.storage import Storage
from tests.faults.storage.shim import Counted


@dataclass(frozen=True, slots=True)
class Call:
    """`path`, and `other` of those with two; both empty for what goes to the database."""

    kind: Counted
    operation: str
    path: str
    other: str


def read_log(log: Path) -> list[Call]:
    calls = []
    for line in log.read_text().splitlines():
        kind, operation, path, other = line.split("\t")
        calls.append(Call(Counted(int(kind)), operation, path, other))
    return calls


def count(calls: Iterable[Call], counted: Counted) -> int:
    return sum(1 for call in calls if call.kind in counted)


@dataclass(slots=True)
class PowerCut:
    """Follows the calls, and knows which changes a power cut could undo.

    Names that were made or moved last when their directory was synced, content when its file was. What was removed may come
    back: that is done again.
    """

    storage: Storage
    unsynced: set[str] = field(default_factory=set)

    def follow(self, calls: Sequence[Call]) -> None:
        """Raises AssertionError at a call that comes before what it relies on lasts."""
        for number, call in enumerate(calls, 1):
            self._require_lasting(call, f"call {number}, {call}")
            self._take_in(call)

    def _require_lasting(self, call: Call, shown: str) -> None:
        if call.operation == "commit":
            assert not self.unsynced, f"{shown}: what the database is told does not last"
        if call.operation == "unlink" and call.path.endswith(".tar"):
            assert not self.unsynced, f"{shown}: the archive goes before what was in it lasts"
        if call.operation in ("rename", "exchange") and self._is_in_library(call.other):
            assert not self._below(call.path), f"{shown}: what becomes visible does not last"

    def _take_in(self, call: Call) -> None:
        match call.operation:
            case "create" | "mkdir":
                self.unsynced |= {call.path, _parent(call.path)}
            case "write" | "chmod":
                self.unsynced.add(call.path)
            case "fsync":
                self.unsynced.discard(call.path)
            case "rename":
                self._move(call.path, call.other)
            case "exchange":
                self.unsynced |= {_parent(call.path), _parent(call.other)}
            case "unlink" | "rmdir":
                self.unsynced -= self._below(call.path)

    def _move(self, source: str, target: str) -> None:
        moved = self._below(source)
        self.unsynced -= moved
        self.unsynced |= {target + path[len(source) :] for path in moved}
        self.unsynced |= {_parent(source), _parent(target)}

    def _below(self, path: str) -> set[str]:
        return {each for each in self.unsynced if each == path or each.startswith(f"{path}/")}

    def _is_in_library(self, path: str) -> bool:
        return any(Path(path).is_relative_to(self.storage.root_of(location)) for location in Location)


def _parent(path: str) -> str:
    return path.rpartition("/")[0]
