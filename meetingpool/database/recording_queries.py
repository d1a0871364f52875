"""The lists of recordings that front ends ask for, read piece by piece. Called by getRecordings.

A list may be of any length, and whoever asked may take it slowly. So each piece is a statement of its own, which goes on where
the last one ended: no connection is held and no transaction is open while a piece is on its way. The order never changes, so
nothing is listed twice, and nothing left out that was there all the time.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from meetingpool.database.engine import Database
from meetingpool.domain.recordings import RecordingState

# A piece ends with the recording that reaches so many bytes of documents, or after so many recordings. Smaller ones would cost
# more, since each looks for what was found before it anew; the first is longer, so that most lists are one piece.
PIECE_BYTES, FIRST_PIECE_BYTES = 1024 * 1024, 2 * 1024 * 1024
PIECE_RECORDINGS, FIRST_PIECE_RECORDINGS = 1000, 2500

# Sorts behind every text that begins with what it is appended to.
_LAST_CHARACTER = "\U0010ffff"
_WILDCARD = "%"

# The operators compare as the index does, byte by byte. OFFSET keeps each look-up as it stands: a range of the index.
_WITH_PREFIXES = """
    unnest({lows}::text[], {highs}::text[]) AS prefixes (low, high) CROSS JOIN LATERAL (
        SELECT * FROM recordings WHERE record_id ~>=~ low AND record_id ~<~ high OFFSET 0
    ) AS recordings
"""
_ORDER = "start_ms DESC, record_id DESC"
# One row: the documents are put together where they are.
_PIECE = f"""
    SELECT string_agg(document, ''::bytea) AS documents, count(*)::int AS number,
        (array_agg(start_ms))[count(*)] AS start_ms, (array_agg(record_id))[count(*)] AS record_id
    FROM (
        SELECT start_ms, record_id, document FROM (
            SELECT *, sum(octet_length(document)) OVER (ORDER BY {_ORDER} ROWS UNBOUNDED PRECEDING) - octet_length(document)
                AS bytes_before
            FROM (
                SELECT start_ms, record_id, document FROM {{source}} WHERE {{condition}}
                ORDER BY {_ORDER} LIMIT {{limit}} OFFSET {{offset}}
            ) AS found
        ) AS listed
        WHERE bytes_before < {{bytes}} ORDER BY {_ORDER}
    ) AS kept
"""
_COUNT = "SELECT count(*) AS total FROM {source} WHERE {condition}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingQuery:
    """Which recordings of a tenant. All conditions hold together; an empty one holds for every recording.

    `prefixes`: of record ids, one of which is a whole id mostly. `metadata`: values by names; a `%` at the begin or the end of a
    value stands for any text. `states`: None for any.
    """

    tenant: str
    prefixes: tuple[str, ...] = ()
    meeting_ids: tuple[str, ...] = ()
    states: Collection[str] | None = (RecordingState.PUBLISHED, RecordingState.UNPUBLISHED)
    metadata: Mapping[str, str] = field(default_factory=dict)


class Position(NamedTuple):
    """Where a list goes on: behind this recording."""

    start_ms: int
    record_id: str


class Piece(NamedTuple):
    """Some of a list: the documents of so many `recordings`, one after the other. `end`: None when no more may follow."""

    documents: bytes
    recordings: int
    end: Position | None


class _Statement:
    """A statement that grows, with its arguments."""

    def __init__(self, query: RecordingQuery, after: Position | None = None) -> None:
        self.arguments: list[object] = []
        self.source = "recordings"
        self.conditions = [f"tenant = {self.bind(query.tenant)}"]
        if query.prefixes:
            self._find_prefixes(query.prefixes)
        if query.meeting_ids:
            self.conditions.append(f"meeting_id = ANY({self.bind(list(query.meeting_ids))}::text[])")
        if query.states is not None:
            self.conditions.append(f"state = ANY({self.bind(list(query.states))}::text[])")
        if query.metadata:
            self._match_metadata(query.metadata)
        if after:
            self.conditions.append(f"(start_ms, record_id) < ({self.bind(after.start_ms)}, {self.bind(after.record_id)})")

    def bind(self, value: object) -> str:
        self.arguments.append(value)
        return f"${len(self.arguments)}"

    def text(self, template: str, **places: str) -> str:
        return template.format(source=self.source, condition=" AND ".join(self.conditions), **places)

    def _find_prefixes(self, prefixes: Collection[str]) -> None:
        lows = _distinct(prefixes)
        highs = [low + _LAST_CHARACTER for low in lows]
        self.source = _WITH_PREFIXES.format(lows=self.bind(lows), highs=self.bind(highs))

    def _match_metadata(self, metadata: Mapping[str, str]) -> None:
        exact = {name: value for name, value in metadata.items() if not _has_wildcard(value)}
        if exact:
            self.conditions.append(f"metadata @> {self.bind(exact)}::jsonb")
        for name in metadata.keys() - exact.keys():
            self.conditions.append(f"metadata ->> {self.bind(name)}::text LIKE {self.bind(_like(metadata[name]))}::text")


async def read_piece(
    database: Database, query: RecordingQuery, *, after: Position | None = None, offset: int = 0, limit: int | None = None
) -> Piece:
    """The next recordings of the list, the newest first: behind `after`, without the first `offset`, and at most `limit`.

    Raises DatabaseUnavailable.
    """
    most, most_bytes = (PIECE_RECORDINGS, PIECE_BYTES) if after else (FIRST_PIECE_RECORDINGS, FIRST_PIECE_BYTES)
    most = most if limit is None else min(limit, most)
    statement = _Statement(query, after)
    bound = {"limit": statement.bind(most), "offset": statement.bind(offset), "bytes": str(most_bytes)}
    row = await database.statement(statement.text(_PIECE, **bound), *statement.arguments)
    if row is None or not row["number"]:
        return Piece(b"", 0, None)
    documents, number = row["documents"], row["number"]
    may_go_on = limit is None or number < limit
    is_full = number == most or len(documents) >= most_bytes
    return Piece(documents, number, Position(row["start_ms"], row["record_id"]) if is_full and may_go_on else None)


async def count_recordings(database: Database, query: RecordingQuery) -> int:
    """How many there are. Raises DatabaseUnavailable."""
    statement = _Statement(query)
    row = await database.statement(statement.text(_COUNT), *statement.arguments)
    return int(row["total"]) if row else 0


def _distinct(prefixes: Collection[str]) -> list[str]:
    """Without those that others are a prefix of, so that no recording is found twice."""
    kept: list[str] = []
    for prefix in sorted(prefixes):
        if not kept or not prefix.startswith(kept[-1]):
            kept.append(prefix)
    return kept


def _has_wildcard(value: str) -> bool:
    return value.startswith(_WILDCARD) or value.endswith(_WILDCARD)


def _like(value: str) -> str:
    """The pattern for LIKE, to which nothing of the value is special but what is at its ends."""
    inner = value.removeprefix(_WILDCARD).removesuffix(_WILDCARD)
    escaped = inner.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
    begin, end = value.startswith(_WILDCARD), value.endswith(_WILDCARD)
    return f"{_WILDCARD * begin}{escaped}{_WILDCARD * end}"
