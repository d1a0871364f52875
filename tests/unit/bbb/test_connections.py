"""Who gets a connection to a server, who waits for one, and what becomes of those that nobody uses: over real sockets."""

import asyncio
import gc
import socket
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from meetingpool.bbb.connections import Connection, Connections
from meetingpool.bbb.dialler import Dialler
from meetingpool.bbb.errors import ConnectionLost
from meetingpool.bbb.names import Names
from meetingpool.bbb.replies import Reply
from meetingpool.bbb.targets import Origin
from meetingpool.clock import SystemClock
from tests.unit.bbb.web_servers import SOON, Numbered, listening, open_files, passes, until_open_files_are

REQUEST = (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",)


class PatientDialler(Dialler):
    """Hands out a connection only when the server has ended it, or spoken unasked."""

    async def dial(self, origin: Origin, protocol: asyncio.Protocol, until: float) -> None:
        await super().dial(origin, protocol, until)
        assert isinstance(protocol, Connection)
        async with asyncio.timeout(SOON):
            while not protocol.is_over:
                await asyncio.sleep(0)


@pytest.fixture
async def numbered() -> Numbered:
    return Numbered()


@pytest.fixture
async def endpoint(numbered: Numbered) -> AsyncIterator[str]:
    async with listening(numbered.serve) as (endpoint, _):
        yield endpoint


@asynccontextmanager
async def connections_to(
    endpoint: str, *, limit: int = 64, keep_idle: float = 60.0, dialling: type[Dialler] = Dialler
) -> AsyncIterator[Connections]:
    loop = asyncio.get_running_loop()
    dialler = dialling(Names(loop, SystemClock()), loop)
    port = int(endpoint.split(":")[2].split("/")[0])
    connections = Connections(Origin(False, "127.0.0.1", port), dialler, loop, limit=limit, keep_idle=keep_idle)
    yield connections
    connections.close()
    await asyncio.sleep(0)


async def connected(connections: Connections) -> Connection:
    return connections.idle() or await connections.connect(asyncio.get_running_loop().time() + SOON)


async def ask(connections: Connections) -> bytes:
    return (await exchange(await connected(connections))).body


async def exchange(connection: Connection, deadline: float = SOON) -> Reply:
    until = asyncio.get_running_loop().time() + deadline
    return await connection.exchange(REQUEST, until=until, deadline=deadline, max_body=1000)


async def test_connection_used_last_is_used_next(numbered: Numbered, endpoint: str) -> None:
    async with connections_to(endpoint) as connections:
        first, second, third = [await connected(connections) for _ in range(3)]
        names = {await_: (await exchange(await_)).body for await_ in (first, third, second)}

        assert await ask(connections) == names[second]
        assert await ask(connections) == names[second]
        assert numbered.connections == 3


async def test_no_more_connections_than_the_limit_and_who_waits_first_is_served_first(numbered: Numbered, endpoint: str) -> None:
    numbered.may_reply.clear()
    served: list[int] = []

    async def queue_up(connections: Connections, number: int) -> None:
        await ask(connections)
        served.append(number)

    async with connections_to(endpoint, limit=2) as connections:
        tasks = []
        for number in range(6):
            tasks.append(asyncio.create_task(queue_up(connections, number)))
            await numbered.until_asked(min(number + 1, 2))
        numbered.may_reply.set()
        await asyncio.gather(*tasks)

    assert numbered.connections == 2
    assert served == sorted(served)


async def test_newcomer_does_not_overtake_who_waits(numbered: Numbered, endpoint: str) -> None:
    async with connections_to(endpoint, limit=1) as connections:
        only = await connected(connections)
        patient = asyncio.create_task(connected(connections))
        await passes()
        await exchange(only)

        assert connections.idle() is None
        newcomer = asyncio.create_task(connected(connections))
        await passes()
        assert patient.done()
        assert not newcomer.done()

        assert patient.result() is only
        only.close()
        await exchange(await newcomer)

    assert numbered.connections == 2


async def test_place_of_a_closed_connection_goes_to_who_waits(numbered: Numbered, endpoint: str) -> None:
    numbered.may_reply.clear()
    async with connections_to(endpoint, limit=1) as connections:
        given_up = asyncio.create_task(ask(connections))
        await numbered.until_asked(1)
        patient = asyncio.create_task(ask(connections))
        await passes()
        given_up.cancel()
        await numbered.until_asked(2)
        numbered.may_reply.set()

        assert await patient == b"2"


async def test_place_that_nobody_could_dial_goes_to_who_waits(endpoint: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refusing = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    async with connections_to(refusing, limit=1) as connections:
        outcomes = await asyncio.gather(*(ask(connections) for _ in range(5)), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [ConnectionRefusedError] * 5


async def test_what_was_handed_to_a_caller_who_is_gone_goes_to_the_next(numbered: Numbered, endpoint: str) -> None:
    async with connections_to(endpoint, limit=1) as connections:
        only = await connected(connections)
        gone, next_one = (asyncio.create_task(connected(connections)) for _ in range(2))
        await passes()
        connections.put_back(only)
        gone.cancel()

        assert await asyncio.wait_for(next_one, SOON) is only
        assert gone.cancelled()
        await exchange(only)

    assert numbered.connections == 1


async def test_place_handed_to_a_caller_who_is_gone_goes_to_the_next(numbered: Numbered, endpoint: str) -> None:
    async with connections_to(endpoint, limit=1) as connections:
        only = await connected(connections)
        gone, next_one = (asyncio.create_task(connected(connections)) for _ in range(2))
        await passes()
        only.close()
        gone.cancel()

        await exchange(await asyncio.wait_for(next_one, SOON))
        assert gone.cancelled()


async def test_connection_that_ends_on_its_way_to_who_waits_is_replaced(numbered: Numbered, endpoint: str) -> None:
    async with connections_to(endpoint, limit=1) as connections:
        only = await connected(connections)
        patient = asyncio.create_task(connected(connections))
        await passes()
        connections.put_back(only)
        only.close()

        replacement = await asyncio.wait_for(patient, SOON)
        assert replacement is not only
        await exchange(replacement)


async def test_caller_who_stops_waiting_leaves_the_queue(numbered: Numbered, endpoint: str) -> None:
    async with connections_to(endpoint, limit=1) as connections:
        only = await connected(connections)
        gone = [asyncio.create_task(connected(connections)) for _ in range(3)]
        await passes()
        for task in gone:
            task.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        await exchange(only)

        assert connections.idle() is only


async def test_connection_that_nobody_uses_is_closed_after_a_while(numbered: Numbered, endpoint: str) -> None:
    async with connections_to(endpoint, keep_idle=0.05) as connections:
        await ask(connections)
        await numbered.until_closed(1)

        assert connections.idle() is None
        assert await ask(connections) == b"2"


async def test_connection_that_is_closed_is_forgotten(numbered: Numbered, endpoint: str) -> None:
    async with connections_to(endpoint, keep_idle=0.05) as connections:
        connection = await connected(connections)
        await exchange(connection)
        closed = weakref.ref(connection)
        del connection
        await numbered.until_closed(1)
        await passes()
        gc.collect()

        assert closed() is None


async def test_connection_in_use_is_not_closed_for_its_idle_time_before(numbered: Numbered, endpoint: str) -> None:
    async with connections_to(endpoint, keep_idle=0.05) as connections:
        connection = await connected(connections)
        await exchange(connection)
        numbered.may_reply.clear()
        waiting = asyncio.create_task(exchange(connection))
        await asyncio.sleep(0.1)
        numbered.may_reply.set()

        assert (await waiting).body == b"1"


@pytest.mark.parametrize("greeting", [b"", b"SSH-2.0-OpenSSH_9.2\r\n"])
async def test_connection_that_ends_or_speaks_before_the_request_is_sent_nothing(greeting: bytes) -> None:
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        if greeting:
            received.append(await reader.read())

    async with listening(serve) as (endpoint, _), connections_to(endpoint, dialling=PatientDialler) as connections:
        with pytest.raises(ConnectionResetError, match="at once"):
            await ask(connections)
        assert connections.idle() is None

    assert b"".join(received) == b""


async def test_caller_who_is_cancelled_with_the_reply_in_hand_closes_nothing_that_is_used_again(
    numbered: Numbered, endpoint: str
) -> None:
    async def take_over() -> bytes:
        while (free := connections.idle()) is None:
            await asyncio.sleep(0)
        late.cancel()
        return (await exchange(free)).body

    async with connections_to(endpoint, limit=1) as connections:
        late = asyncio.create_task(exchange(await connected(connections)))
        assert await asyncio.wait_for(take_over(), SOON) == b"1"
        with suppress(asyncio.CancelledError):
            await late

    assert numbered.connections == 1


async def test_connection_that_is_dialled_while_the_client_is_closed_is_closed(endpoint: str) -> None:
    before = open_files()
    async with connections_to(endpoint) as connections:
        dialled = asyncio.create_task(connected(connections))
        await asyncio.sleep(0)

    with pytest.raises(ConnectionResetError):
        await dialled
    await until_open_files_are(before)


async def test_client_that_is_closed_lets_nobody_wait(numbered: Numbered, endpoint: str) -> None:
    numbered.may_reply.clear()
    async with connections_to(endpoint, limit=1) as connections:
        asked = asyncio.create_task(ask(connections))
        await numbered.until_asked(1)
        waiting = asyncio.create_task(ask(connections))
        await passes()

    with pytest.raises(ConnectionLost):
        await asked
    with pytest.raises(ConnectionAbortedError):
        await waiting
