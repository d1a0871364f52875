"""Why a meeting is on its server, as it is kept with the placement and shown to administrators."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from meetingpool.domain.meetings import MeetingKey
from meetingpool.domain.placement import Candidate, Choice, Obstacle, PlacementRequest, PoolSize, Standing
from meetingpool.domain.servers import Server, ServerId


class Source(StrEnum):
    """Where the expected size of a meeting comes from."""

    ROOM = "room"
    HINT = "hint"
    TYPICAL = "typical"


class Cause(StrEnum):
    """Why a meeting was moved: its server refused the create, no longer had the meeting, or was dead."""

    REFUSED = "refused"
    GONE = "gone"
    DEAD = "dead"


class Move(NamedTuple):
    """From which server a meeting was moved, and why."""

    server_id: ServerId
    cause: Cause


def reason_of(
    choice: Choice, request: PlacementRequest, source: Source, size: PoolSize, left: Move | None = None
) -> dict[str, Any]:
    """As it is kept: short, for there is one for each placement, so what is empty or false is left out."""
    within = request.tags.within
    reason = {
        "users": round(request.users, 1),
        "source": source,
        "tags": sorted(request.tags.tags),
        "is_required": request.tags.required,
        "within": None if within is None else sorted(within),
        "regions": list(request.regions),
        "left": left and list(left),
        "size": list(size),
        "looked": choice.looked,
        "looked_at": [_written(candidate) for candidate in choice.looked_at],
    }
    return {name: value for name, value in reason.items() if value}


def _written(candidate: Candidate) -> list[Any]:
    server, standing = candidate.server, candidate.standing
    figures = (candidate.load - server.handicap, candidate.kept, server.handicap)
    stood = [standing, _limit(server, standing)] if isinstance(standing, Obstacle) else list(standing)
    return [server.id, *(round(figure, 1) for figure in figures), stood]


def _limit(server: Server, obstacle: Obstacle) -> int | None:
    return {Obstacle.USERS: server.max_users, Obstacle.MEETINGS: server.max_meetings}.get(obstacle)


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedAt:
    """A server that was looked at, with its figures at that moment: what it carried, for what room was kept on it, its handicap.

    `standing` is an obstacle when it could not have the meeting; `limit`: the one that was in the way.
    """

    server_id: ServerId
    load: float
    kept: float
    handicap: float
    standing: Standing | Obstacle
    limit: int | None = None

    @property
    def compared(self) -> float:
        """By which it was compared with others."""
        return round(self.load + self.kept + self.handicap, 1)

    def remark(self, regions: Sequence[str]) -> str:
        """What made it worse than others, whatever it carried. `regions`: from the nearest to the farthest."""
        match self.standing:
            case Obstacle.AVOIDED:
                return "left out: it had just refused a create, or was found full"
            case Obstacle.TAGS:
                return "may not have it: its tags do not fit"
            case Obstacle.USERS | Obstacle.MEETINGS as limited:
                return f"full with this meeting: its max_{limited} is {self.limit}"
            case Standing(lacks_tag, is_beyond_soft_limit, region):
                place = f"in region {regions[region]}" if region < len(regions) else "in none of the regions"
                remarks = (
                    ("lacks the tag", lacks_tag),
                    ("too full: beyond its soft limit, or without room for all", is_beyond_soft_limit),
                    (place, region),
                )
                return ", ".join(text for text, holds in remarks if holds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a meeting got its server. `users`: how many were expected; `looked`: how many servers were looked at.

    `looked_at`: the first of them, the chosen one included; `within`: the tags of the servers that the tenant may use.
    """

    users: float
    source: Source
    tags: tuple[str, ...]
    is_required: bool
    within: tuple[str, ...] | None
    regions: tuple[str, ...]
    left: Move | None
    size: PoolSize
    looked: int
    looked_at: tuple[LookedAt, ...]

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> "Reason":
        """What `reason_of` made."""
        return cls(
            users=kept.get("users", 0.0),
            source=Source(kept["source"]),
            tags=tuple(kept.get("tags", ())),
            is_required=kept.get("is_required", False),
            within=tuple(kept["within"]) if "within" in kept else None,
            regions=tuple(kept.get("regions", ())),
            left=Move(ServerId(kept["left"][0]), Cause(kept["left"][1])) if "left" in kept else None,
            size=PoolSize(*kept["size"]),
            looked=kept.get("looked", 0),
            looked_at=tuple(_read(*each) for each in kept.get("looked_at", ())),
        )

    def compared(self, chosen: ServerId) -> list[LookedAt]:
        """The servers that were looked at, the chosen one first, and then from the best to those that could not have it."""
        return sorted(self.looked_at, key=lambda each: (each.server_id != chosen, _rank(each)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """One time that a server got a meeting. `reason`: None where none was kept."""

    key: MeetingKey
    server_id: ServerId
    at: datetime
    reason: Reason | None


def _read(server_id: str, load: float, kept: float, handicap: float, stood: Iterable[Any]) -> LookedAt:
    standing: Standing | Obstacle
    match list(stood):
        case [str(obstacle), limit]:
            standing = Obstacle(obstacle)
        case others:
            standing, limit = Standing(*others), None
    return LookedAt(server_id=ServerId(server_id), load=load, kept=kept, handicap=handicap, standing=standing, limit=limit)


def _rank(looked_at: LookedAt) -> tuple[bool, tuple[float, ...], float]:
    standing = looked_at.standing
    is_out = isinstance(standing, Obstacle)
    return is_out, () if isinstance(standing, Obstacle) else tuple(standing), looked_at.compared
