"""A task with its arguments, read as rake reads them, and how a task ends that cannot go on."""

import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import typer

from meetingpool.database.engine import Database
from meetingpool.settings import Settings

_TASK = re.compile(r"([^\[]+)\[(.*)\]", re.DOTALL)
# Up to a comma that has no backslash before it.
_ARGUMENT = re.compile(r"((?:[^\\,]|\\.)*)(,|$)", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
# The beginning of a text that Ruby takes for a number.
_NUMBER = re.compile(r"\s*[+-]?\d[\d_]*(\.\d[\d_]*)?([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class Call:
    """What a task is given: its arguments by their names, what was left out as None, what was left empty as ""."""

    database: Database
    settings: Settings
    arguments: dict[str, str]

    def said(self, name: str) -> str | None:
        """The argument, None when it was left empty or out."""
        return self.arguments.get(name) or None

    def required(self, name: str) -> str:
        """The argument, "" when it was left empty or out."""
        return self.arguments.get(name, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task. `run` is done on the database, `process` runs on its own until it is stopped; one of the two is there."""

    name: str
    arguments: tuple[str, ...] = ()
    description: str
    run: Callable[[Call], Awaitable[None]] | None = None
    process: Callable[[dict[str, str]], None] | None = None

    @property
    def is_about_tenants(self) -> bool:
        return self.name.startswith("tenant")

    @property
    def signature(self) -> str:
        return f"{self.name}[{','.join(self.arguments)}]" if self.arguments else self.name


def parse_task(text: str) -> tuple[str, list[str]]:
    """The name and the arguments of `name[first,second]`. A backslash takes from a comma, or another one, its meaning."""
    found = _TASK.fullmatch(text)
    if found is None or not found[2]:
        return (found[1] if found else text), []
    arguments: list[str] = []
    for argument, comma in _ARGUMENT.findall(found[2]):
        arguments.append(_ESCAPED.sub(r"\1", argument.strip()))
        if not comma:
            break
    return found[1], arguments


def number_of(text: str) -> float:
    """The number that `text` begins with, 0 for none, as Ruby reads it."""
    found = _NUMBER.match(text)
    return float(found[0].replace("_", "")) if found else 0.0


def ids_of(text: str | None) -> Sequence[str]:
    """The ids of `one:two`."""
    return [each for each in (text or "").split(":") if each]


def somebody_says_yes() -> bool:
    """Whether the next line of standard input is `yes`."""
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() == "yes"


def fail(sentence: str) -> NoReturn:
    """Ends the task with a sentence on standard error."""
    typer.echo(sentence, err=True)
    raise typer.Exit(1)


def warn(sentence: str) -> None:
    typer.echo(sentence, err=True)
