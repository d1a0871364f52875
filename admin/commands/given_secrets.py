"""How secrets come in: as they are, by a file, or by standard input, of which each `-` reads a line."""

import sys
from collections.abc import Sequence
from pathlib import Path

import typer


def given_secret(option: str, secret: str | None, file: Path | None) -> str | None:
    """What `option` or `option`-file gives; None when neither is there."""
    if secret is not None and file is not None:
        raise typer.BadParameter(f"give either {option} or {option}-file")
    return next(iter(given_secrets([secret] if secret is not None else [], [file] if file is not None else [])), None)


def given_secrets(secrets: Sequence[str] | None, files: Sequence[Path] | None) -> list[str]:
    """All that are given, those of files last."""
    return [*map(_read, secrets or ()), *map(_read_file, files or ())]


def _read(secret: str) -> str:
    return sys.stdin.readline().strip() if secret == "-" else secret  # noqa: S105


def _read_file(file: Path) -> str:
    try:
        return file.read_text().strip()
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{file} does not hold text") from None
