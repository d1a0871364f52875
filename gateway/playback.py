"""Playing recordings: links that open them, and their files, of which each request is decided anew.

A recording can be seen while it is published, at its tenant's address, and when it is protected only with a pass
(playback_passes.py), which a link gives that works once (playback_links.py). For all else there is one and the same answer.
"""

import re

from starlette.requests import Request
from starlette.responses import Response

from gateway.playback_addresses import player_path, sent_on
from gateway.playback_links import playing
from gateway.playback_overlays import overlay, uploaded_captions
from gateway.playback_pages import playing_page
from gateway.playback_passes import Place
from gateway.playback_paths import NoSuchPath, Segments, quoted, segments_of
from gateway.playback_refusals import NothingToSee, playback
from gateway.playback_reply import file_answer, viewer
from gateway.playback_types import headers_for, is_host
from gateway.state import Gateway
from meetingpool.database.playback import Playable, find_playable

PAGE = "index.html"
# A path on this host, and not the address of another one in disguise.
_OWN_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")


@playback
async def open_recording(request: Request, gateway: Gateway) -> Response:
    """`/recording/{record_id}/{format}`: the link that front ends have. Sends the browser to where the format is played."""
    place = _place(request, gateway)
    playable = await _published(gateway, place)
    answer = sent_on(_where_played(request, place, playable))
    if playable.is_protected:
        token, what = request.query_params.get("token", ""), playing(place.record_id, place.format)
        if request.method == "HEAD":
            # Who only looks whether a link is good must not use it up.
            is_good = gateway.links.opens(what, token)
        elif is_good := await gateway.links.use(gateway.database, what, token):
            answer.headers["set-cookie"] = gateway.passes.cookie(place, is_secure=request.scope["scheme"] == "https")
        if not is_good:
            raise NothingToSee
    return answer


@playback
async def recording_file(request: Request, gateway: Gateway) -> Response:
    """`/{format}/{record_id}/…`: a file of a published recording, or for the directory a page that plays it."""
    place = _place(request, gateway)
    rest = _behind(request, place)
    segments = segments_of(rest[1:])
    playable = await _published(gateway, place)
    if playable.is_protected and not gateway.passes.admit(place, request.cookies):
        raise NothingToSee
    if segments:
        return await _file(request, gateway, place, playable, segments)
    if place.format == "presentation":
        return sent_on(player_path(place.prefix, place.record_id))
    # Files beside a page are found by addresses that begin where the page's ends.
    return await _page(request, gateway, place, playable) if rest else sent_on(f"{place.path}/")


def _where_played(request: Request, place: Place, playable: Playable) -> str:
    """The path of the format's link; of its files, where that is no path of ours, or leads back to where the request is."""
    path = place.prefix + playable.link
    is_here = path.partition("?")[0] == request.url.path
    return path if _OWN_PATH.fullmatch(playable.link) and not is_here else f"{place.path}/"


def _place(request: Request, gateway: Gateway) -> Place:
    parameters = request.path_params
    return Place(
        tenant=gateway.tenants.recognise(request).id,
        record_id=parameters["record_id"],
        format=parameters["format"],
        prefix=f"/t/{parameters['tenant']}" if "tenant" in parameters else "",
    )


def _behind(request: Request, place: Place) -> bytes:
    """What follows the tree in the URL, as it was sent. Raises NoSuchPath for a tree whose name is spelled in another way."""
    raw: bytes = request.scope["raw_path"]
    before, tree, rest = raw.partition(place.path.encode())
    if before or not tree or rest[:1] not in (b"", b"/"):
        raise NoSuchPath
    return rest


async def _published(gateway: Gateway, place: Place) -> Playable:
    playable = await find_playable(gateway.database, place.tenant, place.record_id, place.format)
    if playable is None:
        raise NothingToSee
    return playable


async def _file(request: Request, gateway: Gateway, place: Place, playable: Playable, segments: Segments) -> Response:
    root, path = gateway.settings.publish_dir, (place.format, place.record_id, *segments)
    headers = headers_for(place.format, segments, tree_url=_tree_url(request, place))
    if (document := await overlay(gateway, playable, path)) is not None:
        return Response(document, headers=headers)
    if location := gateway.settings.playback_x_accel:
        return Response(headers={**headers, "x-accel-redirect": f"{location}/{quoted(path)}"})
    return await file_answer(request, await gateway.files.open(root, path, viewer(request)), headers)


async def _page(request: Request, gateway: Gateway, place: Place, playable: Playable) -> Response:
    """BBB's own page of a format if it has one, else ours."""
    names = await gateway.files.names(gateway.settings.publish_dir, (place.format, place.record_id))
    if PAGE in names:
        return await _file(request, gateway, place, playable, (PAGE,))
    captions = await uploaded_captions(gateway, place.record_id)
    labels = {lang: track.label for lang, track in captions.items()}
    page = playing_page(playable.name, playable.duration_ms, names, labels)
    if page is None:
        raise NothingToSee
    return page


def _tree_url(request: Request, place: Place) -> str | None:
    """Where the browser sees the tree; None if it does not say so in a way that can be repeated."""
    host = request.headers.get("host", "")
    return f"{request.scope['scheme']}://{host}{place.path}" if is_host(host) else None
