"""`python -m benchmarks.fleet`: simulated servers with meetings in them, in a process of their own. Started by `pool.py`.

Writes one line of JSON when all is there, the servers with their meetings, and runs until SIGTERM.
"""

import argparse
import asyncio
import json
import signal
import sys

from uvicorn.loops.auto import auto_loop_factory

from simulator.fleet import Fleet
from simulator.server import SimulatedServer

ATTENDEE_PASSWORD = "attendee-password"
MODERATOR_PASSWORD = "moderator-password"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("servers", "meetings", "people"):
        parser.add_argument(name, type=int)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        runner.run(_run(options.servers, options.meetings, options.people))


async def _run(servers: int, meetings: int, people: int) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with Fleet.running(servers=servers) as fleet:
        _fill(fleet, meetings, people)
        described = [
            {"id": server.name, "url": server.url, "secret": server.secret, "meetings": _internal_ids(server)}
            for server in fleet.servers
        ]
        sys.stdout.write(json.dumps(described) + "\n")
        sys.stdout.flush()
        await stopped.wait()


def _internal_ids(server: SimulatedServer) -> dict[str, str]:
    return {meeting_id: meeting.internal_id for meeting_id, meeting in server.meetings.items()}


def _fill(fleet: Fleet, meetings: int, people: int) -> None:
    for server in fleet.servers:
        for number in range(meetings):
            server.create_meeting(
                f"{server.name}-meeting-{number + 1}",
                name=f"Room {number + 1}",
                people=people,
                attendee_password=ATTENDEE_PASSWORD,
                moderator_password=MODERATOR_PASSWORD,
            )


if __name__ == "__main__":
    main()
