"""Files that are there when all is in them, and not before."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import TextIO

from admin.refusals import Refused


@contextmanager
def written_whole(output: Path | None, what: str) -> Iterator[TextIO]:
    """Standard output, or a file that is there when all of `what` is in it, and is its owner's to read. Raises Refused."""
    if output is None:
        yield sys.stdout
        return
    if output.exists() and not output.is_file():
        raise Refused(f"{output} is not a file: name another for the {what}")
    try:
        descriptor, name = mkstemp(dir=output.parent, prefix=f".{output.name}.")
        with _removed_on_failure(Path(name)) as part, os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yield file
            file.flush()
            part.replace(output)
    except OSError as error:
        raise Refused(f"The {what} cannot be written to {output}: {error.strerror}") from error


@contextmanager
def _removed_on_failure(file: Path) -> Iterator[Path]:
    try:
        yield file
    except BaseException:
        file.unlink()
        raise
