"""Secrets in variables and files: which may be used, and how one is made where none was given. Used by the settings."""

import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path

# Characters of a key for the secrets in the database.
SHORTEST_KEY = 32

_BETWEEN_KEYS = re.compile(r"[:\r\n]")
_OF_OTHERS = stat.S_IRWXO


class SecretUnusable(ValueError):
    """A sentence that says what is wrong with a secret or its file, and what to do. Holds no secret."""


def read_keys(text: str) -> tuple[str, ...]:
    """The keys in `text`, which stand in lines of their own or have colons between them. Raises SecretUnusable."""
    keys = tuple(dict.fromkeys(filter(None, map(str.strip, _BETWEEN_KEYS.split(text)))))
    if not keys:
        raise SecretUnusable("has no key in it; `meetingpool keys new` prints one")
    if any(len(key) < SHORTEST_KEY for key in keys):
        raise SecretUnusable(f"each key must have at least {SHORTEST_KEY} characters; `meetingpool keys new` prints one")
    return keys


def read_key_file(path: str) -> tuple[str, ...]:
    """The keys in the file `path`. Raises SecretUnusable, also when others on this machine could read the file."""
    return read_keys(private_text(Path(path)))


def kept_secret(path: Path) -> str:
    """The secret in the file `path`, generated when there is none. Of several processes at once, one generates it.

    Raises SecretUnusable.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _generate(path)
    except OSError as error:
        raise SecretUnusable(f"{path} cannot be made ({error.strerror})") from None
    return private_text(path).strip()


def _generate(path: Path) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    draft.touch(mode=0o600)
    draft.write_text(new_secret() + "\n")
    _sync(draft)
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
    _sync(path.parent)


def private_text(path: Path) -> str:
    """What the file `path` holds. Raises SecretUnusable, also when others on this machine could read it or write to it."""
    try:
        with path.open() as file:
            if os.fstat(file.fileno()).st_mode & _OF_OTHERS:
                raise SecretUnusable(f"others on this machine can get at the secret in {path}: call `chmod o= {path}`")
            return file.read()
    except OSError as error:
        raise SecretUnusable(f"{path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise SecretUnusable(f"{path} does not hold text") from None


def new_secret() -> str:
    """256 random bits as text."""
    return secrets.token_hex(32)


def _sync(path: Path) -> None:
    # What is encrypted with a key outlives a power cut, so the key must.
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
