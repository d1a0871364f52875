"""CPU time and memory of running processes. Linux only: the kernel's clock for each process, and /proc."""

import os
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# Fields of /proc/PID/stat, counted after the name: the parent, and the CPU time of children that are gone (user, system).
_PARENT, _CHILDREN_USER, _CHILDREN_SYSTEM = 1, 13, 14


def cpu_of(pid: int) -> float:
    """Seconds of CPU that the process `pid` has used, all of its threads. Raises OSError when there is no such process."""
    # The clock of a process by its id, as clock_getcpuclockid(3) makes it: to the nanosecond, where /proc counts in 10 ms.
    return time.clock_gettime((~pid << 3) | 2)


def cpu_of_family(pid: int, *, without: Collection[int] = ()) -> float:
    """Seconds of CPU of `pid` and of its children, those that are gone included, and without the children in `without`."""
    family = [child for child in _children_of(pid) if child not in without]
    stat = _stat(pid)
    gone = (int(stat[_CHILDREN_USER]) + int(stat[_CHILDREN_SYSTEM])) / _TICKS_PER_SECOND
    return cpu_of(pid) + gone + sum(map(_cpu_or_none, family))


def memory_of(pid: int) -> int:
    """Bytes of memory that the process `pid` holds."""
    return _memory(pid, "VmRSS")


def peak_memory_of(pid: int) -> int:
    """The most bytes of memory that the process `pid` ever held."""
    return _memory(pid, "VmHWM")


def _memory(pid: int, field: str) -> int:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields[field].split()[0]) * 1024


def parent_of(pid: int) -> int:
    return int(_stat(pid)[_PARENT])


def _cpu_or_none(pid: int) -> float:
    try:
        return cpu_of(pid)
    except OSError:
        return 0.0


def _children_of(pid: int) -> list[int]:
    children = []
    for directory in Path("/proc").iterdir():
        with suppress(OSError):
            if directory.name.isdigit() and parent_of(int(directory.name)) == pid:
                children.append(int(directory.name))
    return children


def _stat(pid: int) -> list[str]:
    # The name stands in parentheses and may hold anything.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
