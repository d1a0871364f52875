"""getRecordings: the tenant's recordings, the newest first.

What is answered stands ready in the database, and is looked up for each call. Calls share nothing, unlike those that servers
answer: to look up a room's recordings costs less than to keep them current, and tokens are for one caller each.
"""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from starlette.responses import Response

from gateway.answers import xml_answer
from gateway.authentication import Call
from gateway.playback_links import playing
from gateway.recording_calls.named_recordings import listed
from gateway.state import Gateway
from gateway.streamed_answers import StreamedAnswer
from meetingpool.bbb.errors import MissingFilter
from meetingpool.bbb.recording_documents import OPENING, Page, closing, fill, fill_tokens, no_recordings
from meetingpool.database.recording_queries import Piece, RecordingQuery, count_recordings, read_piece
from meetingpool.domain.recordings import RecordId

MAX_LIMIT = 100
_ANY_STATE = "any"
_METADATA = "meta_"
_NUMBER = re.compile(r"[0-9]{1,9}")


class _Slice(NamedTuple):
    """Which part of the list is asked for."""

    offset: int = 0
    limit: int | None = None


async def get_recordings(gateway: Gateway, call: Call) -> Response:
    query, part = _asked_for(call), _part(call)
    if gateway.settings.get_recordings_api_filtered and not (query.prefixes or query.meeting_ids):
        raise MissingFilter
    if gateway.settings.recording_disabled:
        return xml_answer(no_recordings())
    first = await read_piece(gateway.database, query, offset=part.offset, limit=part.limit)
    page = await _page(gateway, query, part, first)
    if not first.recordings:
        return xml_answer(no_recordings(page))
    filled = partial(_filled, gateway, gateway.tenants.public_url(call.tenant, call.request))
    if first.end is None:
        return xml_answer(OPENING + filled(first.documents) + closing(page))
    documents = _documents(gateway, query, first, part.limit)
    return StreamedAnswer(gateway, call.tenant.id, _answer(documents, filled, page))


def _asked_for(call: Call) -> RecordingQuery:
    """BBB looks at meetingID only when there is no recordID."""
    prefixes, states = listed(call, "recordID"), listed(call, "state")
    meeting_ids = () if prefixes else listed(call, "meetingID")
    metadata = {
        name.removeprefix(_METADATA).lower(): value
        for name, value in call.parameters.items()
        if name.startswith(_METADATA) and value
    }
    query = RecordingQuery(tenant=call.tenant.id, prefixes=prefixes, meeting_ids=meeting_ids, metadata=metadata)
    if not states:
        return query
    return replace(query, states=None if _ANY_STATE in states else states)


def _part(call: Call) -> _Slice:
    """Without a limit that BBB would take there are no pages, whatever the offset."""
    limit = _number(call.text("limit"))
    return _Slice(_number(call.text("offset")) or 0, limit) if limit and limit <= MAX_LIMIT else _Slice()


def _number(text: str | None) -> int | None:
    return int(text) if text and _NUMBER.fullmatch(text) else None


async def _page(gateway: Gateway, query: RecordingQuery, part: _Slice, first: Piece) -> Page | None:
    """None where no pages were asked for. A page that ends before its limit tells how many recordings there are."""
    if part.limit is None:
        return None
    is_last = first.end is None and first.recordings < part.limit and (first.recordings or not part.offset)
    total = part.offset + first.recordings if is_last else await count_recordings(gateway.database, query)
    return Page(offset=part.offset, limit=part.limit, total=total)


async def _documents(gateway: Gateway, query: RecordingQuery, first: Piece, limit: int | None) -> AsyncIterator[bytes]:
    piece, listed_so_far = first, first.recordings
    yield piece.documents
    while piece.end:
        left = None if limit is None else limit - listed_so_far
        piece = await read_piece(gateway.database, query, after=piece.end, limit=left)
        listed_so_far += piece.recordings
        yield piece.documents


async def _answer(documents: AsyncIterator[bytes], filled: Callable[[bytes], bytes], page: Page | None) -> AsyncIterator[bytes]:
    yield OPENING
    async for some in documents:
        yield filled(some)
    yield closing(page)


def _filled(gateway: Gateway, base_url: str, documents: bytes) -> bytes:
    """Documents as this caller gets them."""
    seconds = 60 * gateway.settings.protected_recordings_token_timeout

    def token_of(record_id: RecordId, name: str) -> str:
        return gateway.links.token_for(playing(record_id, name), seconds)

    return fill_tokens(fill(documents, base_url), token_of)
