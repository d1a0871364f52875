"""The supervisor leaves no child behind."""

import asyncio
import os
from pathlib import Path

import pytest

from admin.refusals import Refused
from admin.supervisor import Program, supervised


async def run(names: tuple[str, ...]) -> None:
    async with supervised() as supervisor:
        for name in names:
            supervisor.start(Program(name=name, module=name))
        await asyncio.Event().wait()


async def test_when_one_program_cannot_start_the_others_are_stopped_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_child.py").write_text(
        "import os, pathlib, signal, sys, time\n"
        "here = pathlib.Path(__file__).parent\n"
        "def stop(*_):\n    time.sleep(2)\n    (here / 'stopped').write_text('')\n    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "(here / 'pid').write_text(str(os.getpid()))\n"
        "time.sleep(60)\n"
    )
    (tmp_path / "bad_child.py").write_text("import time\ntime.sleep(1)\nraise SystemExit(1)\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{Path.cwd()}")
    for order in (("bad_child", "slow_child"), ("slow_child", "bad_child")):
        (tmp_path / "stopped").unlink(missing_ok=True)
        with pytest.raises(Refused):
            await run(order)
        assert (tmp_path / "stopped").exists(), f"{order}: a child was left behind"
        await asyncio.sleep(0.1)
