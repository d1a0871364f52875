"""The small pages of playback: one that plays what has no page of its own, and those that say why there is nothing to be played.

They need no script and nothing from elsewhere, which is what their policy says too.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from html import escape
from importlib.resources import files
from urllib.parse import quote

from starlette.responses import Response

from gateway.playback_types import type_of

_STYLE = files("gateway").joinpath("pages/playback.css").read_text("utf-8")
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; media-src 'self'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'"
_CAPTION = re.compile(r"caption_([A-Za-z0-9_-]{1,35})\.vtt")
_HEADERS = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}
# Of several documents or sounds of the same content, these are shown first.
_MEDIA = ("video/", "audio/")
_DOCUMENTS = ("application/pdf", "text/html", "text/plain")


def not_found() -> Response:
    """The same for whatever is not to be seen."""
    return _message(
        404, "Recording Not Found", "The recording URL is invalid. This recording may have been either protected or deleted."
    )


def cannot_play_now() -> Response:
    return _message(
        503,
        "Recording Not Available Now",
        "The recording cannot be read at the moment. Please try again in a few seconds.",
        {"retry-after": "5"},
    )


def no_player() -> Response:
    return _message(
        501,
        "Player Not Installed",
        "This recording is played by bbb-playback, which is not installed here. Administrators: install it and set "
        "MEETINGPOOL_PLAYBACK_APP_DIR to its directory; docs/playback.md says how.",
    )


def playing_page(title: str, duration_ms: int, names: Iterable[str], captions: Mapping[str, str]) -> Response | None:
    """A page that plays the files with these names, which are beside it; None if there is nothing to play or read.

    `captions`: the names of languages by their codes, for those files `caption_CODE.vtt` that there are besides.
    """
    listed = list(names)
    media = [name for name in listed if type_of(name).startswith(_MEDIA)]
    documents = [name for name in listed if type_of(name).startswith(_DOCUMENTS)]
    if not media and not documents:
        return None
    body = _player(media, {**_captions_in(listed), **captions}) if media else ""
    body += "".join(f'<p><a href="{_href(name)}">{escape(name)}</a></p>' for name in documents)
    return _page(200, title or "Recording", f"<p>{_spoken(duration_ms)}</p>{body}" if duration_ms else body)


def _player(media: list[str], captions: Mapping[str, str]) -> str:
    kind = "video" if any(type_of(name).startswith("video/") for name in media) else "audio"
    sources = "".join(f'<source src="{_href(name)}" type="{type_of(name)}">' for name in media)
    tracks = "".join(
        f'<track kind="captions" src="{_href(f"caption_{code}.vtt")}" srclang="{escape(code)}" label="{escape(label)}">'
        for code, label in captions.items()
    )
    # With the focus, the browser's keys for playing work at once.
    return f'<{kind} controls autofocus tabindex="0" preload="metadata">{sources}{tracks}</{kind}>'


def _captions_in(names: Iterable[str]) -> dict[str, str]:
    return {found[1]: found[1] for name in names if (found := _CAPTION.fullmatch(name))}


def _href(name: str) -> str:
    return escape(quote(name, safe=""))


def _spoken(duration_ms: int) -> str:
    minutes, seconds = divmod(duration_ms // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _message(status: int, title: str, text: str, headers: Mapping[str, str] | None = None) -> Response:
    return _page(status, title, f"<h3>{escape(text)}</h3>", {"cache-control": "no-store", **(headers or {})})


def _page(status: int, title: str, body: str, headers: Mapping[str, str] | None = None) -> Response:
    shown = escape(title)
    document = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{shown}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{shown}</h1>{body}</main></body></html>\n"
    )
    own = {"content-security-policy": _POLICY, "cache-control": "private, no-cache", **_HEADERS}
    return Response(document, status, {**own, **(headers or {})}, media_type="text/html")
