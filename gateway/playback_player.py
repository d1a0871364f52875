"""bbb-playback, the player of presentations: a program for browsers that administrators install beside Meetingpool.

It has one page, which shows whatever recording its address names, and files that the page loads.
"""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from gateway.playback_addresses import PLAYER
from gateway.playback_files import OpenFile
from gateway.playback_pages import no_player
from gateway.playback_paths import Segments, segments_of
from gateway.playback_refusals import playback
from gateway.playback_reply import file_answer, viewer
from gateway.playback_types import type_of
from gateway.state import Gateway

_PAGE = ("index.html",)
# What its build puts there has a digest of its content in the name.
_UNCHANGING = "static"


@playback
async def player(request: Request, gateway: Gateway) -> Response:
    """`/playback/presentation/2.3/…`: a file of the player, else its page."""
    root = gateway.settings.playback_app_dir
    if root is None:
        return no_player()
    raw: bytes = request.scope["raw_path"]
    segments = segments_of(raw.removeprefix(PLAYER.encode()).strip(b"/"))
    found = await _open(request, gateway, root, segments) if segments else None
    if found is None:
        segments, found = _PAGE, await _open(request, gateway, root, _PAGE)
    if found is None:
        return no_player()
    return await file_answer(request, found, _headers(segments))


async def _open(request: Request, gateway: Gateway, root: Path, segments: Segments) -> OpenFile | None:
    try:
        return await gateway.files.open(root, segments, viewer(request))
    except (FileNotFoundError, NotADirectoryError):
        return None


def _headers(segments: Segments) -> dict[str, str]:
    caching = "public, max-age=31536000, immutable" if segments[0] == _UNCHANGING else "no-cache"
    return {"content-type": type_of(segments[-1]), "x-content-type-options": "nosniff", "cache-control": caching}
