"""Makes WebVTT, which players show, of the forms in which subtitles are uploaded. Called by putRecordingTextTrack."""

# BBB's list, by the names that pysubs2 has for them.
_FORMS = frozenset({"vtt", "srt", "ass", "ssa"})


class NotSubtitles(ValueError):
    """The file is none of WebVTT, SubRip (SRT), SSA and ASS, or there is no line in it."""


def as_webvtt(upload: bytes) -> str:
    """The subtitles of an uploaded file. What is WebVTT already stays as it is. Raises NotSubtitles."""
    # Needed by few processes, and few times: it would cost all of them memory.
    from pysubs2 import Pysubs2Error, SSAFile
    from pysubs2.formats import autodetect_format

    text = _decoded(upload)
    try:
        form = autodetect_format(text)
        if form not in _FORMS:
            raise NotSubtitles(NotSubtitles.__doc__)
        subtitles = SSAFile.from_string(text, format_=form)
    except (Pysubs2Error, ValueError) as error:
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
