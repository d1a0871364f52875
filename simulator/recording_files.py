"""What BBB publishes of a recording: the files of each format, small but real. Called by `archives.py`.

Every recording shows three slides, and sounds and moves for a few seconds (`data/`). Source of names and forms: BBB's publish
scripts, and what its player loads.
"""

import functools
import hashlib
import html
import json
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

from meetingpool.bbb import xml
from simulator.meetings import PastMeeting

_DATA = Path(__file__).parent / "data"

_SLIDES = ("Welcome", "What we talk about", "Thank you")
_SLIDE_SIZE = (800, 600)
_THUMBNAIL_SIZE = (176, 136)
_COLOURS = (b"\x16\x4e\x63", b"\x3f\x62\x12", b"\x7c\x2d\x12")
_PAPER = b"\xf8\xfa\xfc"

# The page of notes, of the size of A4 in points.
_PDF_OBJECTS = (
    b"<< /Type /Catalog /Pages 2 0 R >>",
    b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F 4 0 R >> >> /Contents 5 0 R >>",
    b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
)


def published_files(playback_format: str, meeting: PastMeeting) -> dict[str, bytes]:
    """The files of a format by their paths below the directory of the recording, without metadata.xml."""
    match playback_format:
        case "presentation":
            return _presentation(meeting)
        case "video":
            return {"index.html": _video_page(meeting), "video-0.webm": data("recording.webm")}
        case "podcast":
            return {"audio.ogg": data("recording.ogg")}
        case "notes":
            return {"notes.pdf": _pdf(f"Notes of {meeting.settings.name}")}
    raise ValueError("no simulated server publishes this format")


def thumbnails(meeting: PastMeeting) -> dict[str, str]:
    """What is on each slide, by the path of its small picture below the directory of the presentation."""
    return {f"{_slides_folder(meeting)}/thumbnails/thumb-{number}.png": text for number, text in enumerate(_SLIDES, 1)}


@functools.cache
def data(name: str) -> bytes:
    """A file that is the same in all recordings."""
    return (_DATA / name).read_bytes()


def _presentation(meeting: PastMeeting) -> dict[str, bytes]:
    files = {
        "slides_new.xml": _chat(),
        "shapes.svg": _shapes(meeting),
        "panzooms.xml": _events("panzoom_events", "viewBox", f"0 0 {_SLIDE_SIZE[0]} {_SLIDE_SIZE[1]}"),
        "cursor.xml": _events("cursor_events", "cursor", "0.5 0.5"),
        "deskshare.xml": xml.write("recording", None, {"id": "deskshare_events"}),
        "polls.json": b"[]",
        "external_videos.json": b"[]",
        "captions.json": b"[]",
        "presentation_text.json": json.dumps(_texts(meeting)).encode(),
        "video/webcams.webm": data("recording.webm"),
    }
    folder = _slides_folder(meeting)
    for number, text in enumerate(_SLIDES, 1):
        files[f"{folder}/slide-{number}.png"] = _picture(*_SLIDE_SIZE, _COLOURS[number - 1])
        files[f"{folder}/thumbnails/thumb-{number}.png"] = _picture(*_THUMBNAIL_SIZE, _COLOURS[number - 1])
        files[f"{folder}/textfiles/slide-{number}.txt"] = text.encode()
    return files


def _presentation_id(meeting: PastMeeting) -> str:
    return f"{hashlib.sha1(b'default.pdf').hexdigest()}-{meeting.created_ms}"


def _slides_folder(meeting: PastMeeting) -> str:
    return f"presentation/{_presentation_id(meeting)}"


def _texts(meeting: PastMeeting) -> Mapping[str, Mapping[str, str]]:
    return {_presentation_id(meeting): {f"slide-{number}": text for number, text in enumerate(_SLIDES, 1)}}


def _chat() -> bytes:
    said = {"in": "1", "direction": "down", "name": "Ada", "message": "Hello everybody", "target": "chat"}
    return xml.write("popcorn", [("chattimeline", None, said)])


def _shapes(meeting: PastMeeting) -> bytes:
    """One slide after the other."""
    width, height = _SLIDE_SIZE
    folder = _slides_folder(meeting)
    seconds = meeting.duration_ms / 1000 / len(_SLIDES)
    images = "".join(
        f'<image id="image{number}" class="slide" in="{(number - 1) * seconds:.1f}" out="{number * seconds:.1f}"'
        f' xlink:href="{folder}/slide-{number}.png" text="{folder}/textfiles/slide-{number}.txt"'
        f' width="{width}" height="{height}" x="0" y="0"/>'
        for number in range(1, len(_SLIDES) + 1)
    )
    namespaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {namespaces} id="svgfile" version="1.1" viewBox="0 0 {width} {height}">{images}</svg>'.encode()


def _events(name: str, kind: str, value: str) -> bytes:
    return xml.write("recording", [("event", [(kind, value)], {"timestamp": "0.0"})], {"id": name})


def _video_page(meeting: PastMeeting) -> bytes:
    title = html.escape(meeting.settings.name)
    head = f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
    return f'{head}<body><h1>{title}</h1><video controls width="960" src="video-0.webm"></video></body></html>\n'.encode()


@functools.cache
def _picture(width: int, height: int, colour: bytes) -> bytes:
    """A PNG: a sheet of paper with a coloured frame. One bit for each pixel, `width` in whole bytes of them."""
    row = width // 8
    frame = max(row // 25, 1)
    edge = b"\x00" + b"\x00" * row
    middle = b"\x00" + b"\x00" * frame + b"\xff" * (row - 2 * frame) + b"\x00" * frame
    pixels = edge * (8 * frame) + middle * (height - 16 * frame) + edge * (8 * frame)
    header = struct.pack(">IIBBBBB", width, height, 1, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", colour + _PAPER), (b"IDAT", zlib.compress(pixels)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _pdf(line: str) -> bytes:
    text = line.encode("cp1252", "replace").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
    drawn = b"BT /F 18 Tf 72 770 Td (%b) Tj ET" % text
    document, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate((*_PDF_OBJECTS, b"<< /Length %d >>\nstream\n%b\nendstream" % (len(drawn), drawn)), 1):
        offsets.append(len(document))
        document += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(offsets) + 1
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(document))
    return document + b"xref\n0 %d\n%b%b" % (size, table, trailer)
