"""What `meetingpool doctor` finds, whatever it looked at: each with what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """`note`: it works, and may not be what was meant."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was looked at, what was seen of it, and what to do. Holds no secret."""

    severity: Severity
    area: str
    subject: str
    detail: str
    advice: str = ""

    def __post_init__(self) -> None:
        if self.severity is not Severity.OK and not self.advice:
            raise ValueError("whoever finds something says what to do")


@dataclass(frozen=True, slots=True)
class Area:
    """Makes findings of one area."""

    name: str

    def fine(self, subject: str, detail: str) -> Finding:
        return Finding(severity=Severity.OK, area=self.name, subject=subject, detail=detail)

    def note(self, subject: str, detail: str, advice: str) -> Finding:
        return Finding(severity=Severity.NOTE, area=self.name, subject=subject, detail=detail, advice=advice)

    def problem(self, subject: str, detail: str, advice: str) -> Finding:
        return Finding(severity=Severity.PROBLEM, area=self.name, subject=subject, detail=detail, advice=advice)
