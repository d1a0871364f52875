"""Archives that come in pieces, before they are in the spool. The gateway writes them, the worker removes what was given up."""

import time
from contextlib import suppress
from pathlib import Path

# Below the spool directory: for each archive a file that grows, and one that says that it was complete.
UPLOADS = ".uploads"
# Days after which nobody goes on with an upload.
KEPT_DAYS = 7


def remove_given_up(spool: Path) -> int:
    """Removes what has not grown for KEPT_DAYS. Returns how many. Raises OSError."""
    directory, removed = spool / UPLOADS, 0
    if not directory.is_dir():
        return 0
    for path in directory.iterdir():
        with suppress(FileNotFoundError):
            if time.time() - path.lstat().st_mtime > KEPT_DAYS * 86_400:
                path.unlink()
                removed += 1
    return removed
