"""Makes WebVTT, which players show, of the forms in which subtitles are uploaded. Called by putRecordingTextTrack.

What pysubs2 does takes the square of a cue's length, in time and in memory, and while it searches nothing else runs in a process.
So `converted` has it done by a process of its own, which runs this module, and which the system ends when it takes too much.
"""

import asyncio
import resource
import sys
from asyncio.subprocess import DEVNULL, PIPE

from meetingpool.logs import get_logger

# Of the process, in seconds and bytes. The longest file that may be uploaded takes a second or two.
MAX_CPU = 10
MAX_MEMORY = 512 * 1024 * 1024
_PATIENCE = 30.0
MAX_DOCUMENT_BYTES = 4 * 1024 * 1024

# BBB's list, by the names that pysubs2 has for them.
_FORMS = frozenset({"vtt", "srt", "ass", "ssa"})
_REFUSED = 3

log = get_logger()


class NotSubtitles(ValueError):
    """The file is none of WebVTT, SubRip (SRT), SSA and ASS, or there is no line in it."""


async def converted(upload: bytes) -> str:
    """As `as_webvtt`, within bounds. Raises NotSubtitles, and OSError when no process can be started."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", __name__, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
    try:
        async with asyncio.timeout(_PATIENCE):
            document, _ = await process.communicate(upload)
    except TimeoutError:
        document = b""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == 0:
        return document.decode()
    if process.returncode == _REFUSED:
        raise NotSubtitles(NotSubtitles.__doc__)
    log.warning("subtitles_not_converted", status=process.returncode, bytes=len(upload))
    raise NotSubtitles("It takes too much work to read the file. Lines in it are too long, or too many.")


def as_webvtt(upload: bytes) -> str:
    """The subtitles of an uploaded file. What is WebVTT already stays as it is. Raises NotSubtitles."""
    # The gateway, which imports this module, has no use for it.
    from pysubs2 import Pysubs2Error, SSAFile
    from pysubs2.formats import autodetect_format

    text = _decoded(upload)
    try:
        form = autodetect_format(text)
        if form not in _FORMS:
            raise NotSubtitles(NotSubtitles.__doc__)
        subtitles = SSAFile.from_string(text, format_=form)
    except (Pysubs2Error, ValueError, LookupError) as error:
        raise NotSubtitles(NotSubtitles.__doc__) from error
    if not any(line.plaintext.strip() for line in subtitles):
        raise NotSubtitles(NotSubtitles.__doc__)
    return text if form == "vtt" else str(subtitles.to_string("vtt"))


def _decoded(upload: bytes) -> str:
    """Files that do not say what they are written in are UTF-8, or old and from Windows."""
    encoding = "utf-16" if upload.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = upload.decode(encoding)
    except UnicodeDecodeError:
        text = upload.decode("cp1252", errors="replace")
    return text.replace("\0", "")


def _main() -> int:
    """Standard input to standard output. Returns the status of the process."""
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU, MAX_CPU))
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    try:
        document = as_webvtt(sys.stdin.buffer.read()).encode()
    except NotSubtitles:
        return _REFUSED
    if len(document) > MAX_DOCUMENT_BYTES:
        return 1
    sys.stdout.buffer.write(document)
    return 0


if __name__ == "__main__":
    sys.exit(_main())
