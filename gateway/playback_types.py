"""What browsers may make of a recording's file: its type, whether it is shown or saved, and what it may do when it is shown.

Files come from archives, with names, chats and notes of people in them, and are shown under the address of the whole pool. So
what could hold a script is shown as if it were nobody's (`sandbox`), but for BBB's own pages of video and screenshare: these
need their scripts, which are files of the page, and only these run.
"""

import re

from gateway.playback_paths import Segments

OTHER = "application/octet-stream"
TYPES = {
    "webm": "video/webm",
    "mp4": "video/mp4",
    "m4v": "video/mp4",
    "ogg": "audio/ogg",
    "ogv": "video/ogg",
    "oga": "audio/ogg",
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "opus": "audio/ogg",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "svg": "image/svg+xml",
    "ico": "image/x-icon",
    "html": "text/html; charset=utf-8",
    "xml": "text/xml; charset=utf-8",
    "json": "application/json",
    "vtt": "text/vtt; charset=utf-8",
    "pdf": "application/pdf",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "woff": "font/woff",
    "woff2": "font/woff2",
}

# Whose own pages play them.
_PLAYED = frozenset({"presentation", "video", "screenshare"})
_PAGES = frozenset({"video", "screenshare"})
_ACTIVE = ("text/html", "image/svg+xml", "text/xml")
_SCRIPT_FOLDERS = ("js", "video-js")
_SANDBOX = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'"
# BBB's pages run scripts that came with the archive: they get no window in which another page of this address is.
_PAGE_SANDBOX = "sandbox allow-scripts allow-same-origin allow-downloads"
_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


def type_of(name: str) -> str:
    return TYPES.get(name.rpartition(".")[2].lower(), OTHER) if "." in name else OTHER


def headers_for(format_name: str, segments: Segments, *, tree_url: str | None) -> dict[str, str]:
    """How a file of a recording is to be taken. `tree_url`: where its format's files are, with scheme and host, if known."""
    media_type = type_of(segments[-1])
    headers = {"content-type": media_type, "x-content-type-options": "nosniff", "cache-control": "private, no-cache"}
    is_active = media_type.startswith(_ACTIVE)
    if media_type == OTHER or (is_active and format_name not in _PLAYED):
        headers["content-disposition"] = "attachment"
    if is_active:
        is_page = format_name in _PAGES and segments == ("index.html",)
        headers["content-security-policy"] = _page_policy(tree_url) if is_page and tree_url else _SANDBOX
    return headers


def is_host(text: str) -> bool:
    """Whether it can stand in a policy and an address."""
    return _HOST.fullmatch(text) is not None


def _page_policy(tree_url: str) -> str:
    scripts = " ".join(f"{tree_url}/{folder}/" for folder in _SCRIPT_FOLDERS)
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {scripts}",
            f"style-src {tree_url}/ 'unsafe-inline'",
            f"media-src {tree_url}/ blob:",
            f"img-src {tree_url}/ data:",
            f"font-src {tree_url}/ data:",
            f"connect-src {tree_url}/",
            "base-uri 'none'",
            "form-action 'none'",
            _PAGE_SANDBOX,
        )
    )
