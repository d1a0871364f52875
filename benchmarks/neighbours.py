"""What clients of a server that hangs cost everybody else: the rate of the others beside them, as a part of their rate alone."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from statistics import median

from benchmarks.load import Job, Outcome, ask
from benchmarks.pool import FilledPool, insert_meetings
from benchmarks.processes import ProcessFailed
from meetingpool.database.servers import insert_server, update_server
from meetingpool.domain.servers import AdminState, Health, Server, ServerId

CLIENTS = 24
ROUNDS = 3
# Time for the clients of the hung server to be all waiting.
SETTLING_SECONDS = 0.5


async def share_beside_hung_clients(pool: FilledPool, port: int, hung_paths: Sequence[str], others: Job) -> float:
    """The rate of `others` while `CLIENTS` wait for a hung server, by their rate alone. `hung_paths`: one for each client."""
    alone = median([await _rate(others) for _ in range(ROUNDS)])
    job = Job(port=port, paths=list(hung_paths), concurrency=CLIENTS, expected="internalError")
    async with hung_meetings(pool):
        waiting = asyncio.create_task(ask(job))
        await asyncio.sleep(SETTLING_SECONDS)
        beside = median([await _rate(others) for _ in range(ROUNDS)])
        if waiting.done():
            raise ProcessFailed("the clients of the hung server did not wait as long as the others were measured")
        _require_right(await waiting)
    return beside / alone


def hung_meeting(number: int) -> str:
    return f"hung-{number}"


@contextlib.asynccontextmanager
async def hung_meetings(pool: FilledPool) -> AsyncIterator[None]:
    """A meeting for each client on a server that accepts connections and never answers."""

    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(65536):
                pass
        writer.close()

    async with await asyncio.start_server(keep_silent, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        server = Server(id=ServerId("hung"), url=f"http://127.0.0.1:{port}/bigbluebutton/api/", secret="secret")
        hung = {hung_meeting(number): f"internal-{number}" for number in range(CLIENTS)}
        async with pool.database.transaction() as connection:
            await insert_server(connection, server)
            await insert_meetings(connection, server.id, hung)
            await update_server(connection, server.id, {"admin_state": AdminState.CORDONED, "health": Health.ONLINE})
        yield


async def _rate(job: Job) -> float:
    began = time.monotonic()
    _require_right(await ask(job))
    return len(job.paths) / (time.monotonic() - began)


def _require_right(outcome: Outcome) -> None:
    if outcome.wrong:
        raise ProcessFailed(f"an answer was wrong: {outcome.first_wrong}")
