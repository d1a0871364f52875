"""`meetingpool simulator`"""

import asyncio
import json
import sys


async def test_options_go_to_the_simulator_which_ends_by_a_signal() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "admin", "simulator", "--servers", "1", "--secret", "mine"), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    try:
        server = json.loads(await process.stdout.readline())
    finally:
        process.terminate()
        await process.communicate()
    assert server["secret"] == "mine"
    assert process.returncode == 0


async def test_its_help_is_the_simulators() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "admin", "simulator", "--help"), stdout=asyncio.subprocess.PIPE
    )
    told, _ = await process.communicate()
    assert b"--recording-delay SECONDS" in told
