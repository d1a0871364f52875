"""Subtitles of a recording, as front ends upload them and players show them."""

import re
from dataclasses import dataclass
from enum import StrEnum

# A language tag as BCP 47 has it, in its general form: en, pt-BR, zh-Hant-TW.
LANGUAGE = re.compile(r"(?=.{2,35}\Z)[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


class TrackKind(StrEnum):
    """BBB's words. Captions say what is heard beside speech, too."""

    SUBTITLES = "subtitles"
    CAPTIONS = "captions"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTrack:
    """What is said of a track in lists. `source`: BBB's word for where it comes from."""

    kind: TrackKind
    lang: str
    label: str
    source: str

    @property
    def file_name(self) -> str:
        return f"{self.kind}_{self.lang}.vtt"
