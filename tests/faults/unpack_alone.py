"""`python -m tests.faults.unpack_alone ARCHIVE DIRECTORY MAX_FILES`: unpacks it with little memory.

Prints the reason why not, and how many bytes of memory it took at most.
"""

import os
import re
import resource
import sys
from pathlib import Path

from meetingpool.library.unpack import ArchiveRefused, Limits, unpack

_ADDRESS_SPACE = 512 * 1024 * 1024


def main() -> None:
    archive, target, max_files = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    limits = Limits(max_bytes=2**31, max_files=int(max_files))
    try:
        unpack(os.open(archive, os.O_RDONLY), Path(target), limits, lambda *_: None)
        outcome = "unpacked"
    except ArchiveRefused as error:
        outcome = error.reason
    sys.stdout.write(f"{outcome} {_most_memory()}\n")


def _most_memory() -> int:
    """Of this program alone: what getrusage says counts the process that it was forked from."""
    [kilobytes] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes) * 1024


if __name__ == "__main__":
    main()
