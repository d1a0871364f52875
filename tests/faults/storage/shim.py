"""The shim: compiled once for each session, and woken in the processes that were started with it."""

import ctypes
import os
import shutil
import subprocess
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("shim.c")
# Where a process finds the shim that it was started with.
VARIABLE = "LD_PRELOAD"


class Counted(IntFlag):
    """`CHANGE`: calls that change files; `SOCKET`: what is sent to the database; `LOOK`: opens, reads and stats of files."""

    CHANGE = 1
    SOCKET = 2
    LOOK = 4


class Outcome(IntEnum):
    """Of a call. `KILL`: it is not made, and the process is gone. `LOSE`: what the database answers to it does not arrive.

    `STOP`: before it is made, the process stands still until somebody lets it go on.
    """

    NOTHING = 0
    KILL = 1
    FAIL = 2
    LOSE = 3
    STOP = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens at the call with the number `at`, from 1. `error`: the errno of one that fails; `stays`: from then on."""

    counted: Counted = Counted.CHANGE | Counted.SOCKET
    at: int = 0
    outcome: Outcome = Outcome.NOTHING
    error: int = 0
    stays: bool = False


def build(directory: Path) -> Path:
    """Compiles the shim, or skips the test that needs it."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler: apt install gcc libc6-dev")
    shim = directory / "shim.so"
    options = ["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden"]
    subprocess.run([compiler, *options, "-o", str(shim), str(SOURCE), "-ldl"], check=True)
    return shim


def arm(directory: Path, fault: Fault, log: int, *, can_exchange: bool) -> None:
    """Counts from now on what happens below `directory`, and writes it to the descriptor `log` unless that is -1."""
    shim = _loaded()
    if not can_exchange:
        shim.shim_forbid_exchange()
    shim.shim_arm(os.fsencode(directory), fault.counted, fault.at, fault.outcome, fault.error, fault.stays, log)


def disarm() -> int:
    """How many calls there were."""
    return int(_loaded().shim_disarm())


def _loaded() -> ctypes.CDLL:
    shim = ctypes.CDLL(os.environ[VARIABLE])
    shim.shim_disarm.restype = ctypes.c_long
    shim.shim_arm.argtypes = [
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_long,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
    ]
    return shim
