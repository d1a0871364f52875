"""How a process reaches PostgreSQL: one pool of the driver's own connections, and bounds on everything.

`transaction` for several statements, `statement` for the one that a call waits for, which saves two round trips. All statements
are ours, word by word, so that what is locked, and in which order, can be read.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import TypeAlias

import asyncpg

from meetingpool.secret_keys import Keyring

# A connection lent by the pool. `execute`, `fetch`, `fetchrow` and `fetchval` take a statement and its arguments $1, $2, ….
# `keyring` is that of its database: secrets are sealed and unsealed by those who write and read them.
Connection: TypeAlias = asyncpg.pool.PoolConnectionProxy
# A row, by the names of its columns.
Record: TypeAlias = asyncpg.Record
# The last is what whoever uses a connection hears between the server's farewell and its end.
DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
# A unique column has that value already.
Taken = asyncpg.UniqueViolationError
# Runs one statement with its arguments; returns the first row, or None.
Statement = Callable[..., Awaitable[Record | None]]

# For those who have nothing to do with secrets.
NO_KEYS = Keyring()

STATEMENT_TIMEOUT = 4.0
CONNECT_TIMEOUT = 3.0
POOL_TIMEOUT = 3.0
CLOSE_TIMEOUT = 2.0
# Seconds after which a connection that nobody used is closed.
IDLE_LIFETIME = 300.0


class DatabaseUnavailable(Exception):
    """The database does not answer. Check that it runs and that MEETINGPOOL_DATABASE_URL is right, then try again."""


class KeyedConnection(asyncpg.Connection):  # type: ignore[misc]
    """A connection with the keys of its database."""

    keyring: Keyring


class Database:
    """One pool of connections. `name` shows in pg_stat_activity; `keyring` is for the secrets that are written and read."""

    def __init__(self, url: str, *, name: str, pool_size: int = 5, keyring: Keyring = NO_KEYS) -> None:
        self.url = url
        self.name = name
        self._size = pool_size
        self._pool = asyncpg.create_pool(
            plain_url(url),
            min_size=0,
            max_size=pool_size,
            max_inactive_connection_lifetime=IDLE_LIFETIME,
            connection_class=KeyedConnection,
            init=partial(_prepare, keyring),
            # Neither a statement nor a transaction leaves anything behind that would have to be reset.
            reset=_nothing,
            **connect_arguments(name),
        )
        self._opening = asyncio.Lock()
        self._is_open = False
        # How many use a connection now, or wait for one.
        self.callers = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A transaction: committed at the end, rolled back on an exception. Raises DatabaseUnavailable."""
        async with _Lent(self) as connection, connection.transaction():
            yield connection

    async def statement(self, statement: str, *arguments: object) -> Record | None:
        """The first row of one statement, which is a transaction of its own; None without rows. Raises DatabaseUnavailable."""
        async with _Lent(self) as connection:
            row: Record | None = await connection.fetchrow(statement, *arguments)
            return row

    async def rows(self, statement: str, *arguments: object) -> Sequence[Record]:
        """All rows of one statement, as `statement`."""
        async with _Lent(self) as connection:
            rows: Sequence[Record] = await connection.fetch(statement, *arguments)
            return rows

    @property
    def checked_out(self) -> int:
        """Connections in use now. Zero whenever this process waits for a server."""
        return int(self._pool.get_size() - self._pool.get_idle_size())

    async def close(self) -> None:
        if self._is_open:
            try:
                await asyncio.wait_for(self._pool.close(), CLOSE_TIMEOUT)
            except TimeoutError:
                self._pool.terminate()

    async def acquire(self) -> Connection:
        """A connection, to be given back by `release`. Errors are the driver's."""
        if not self._is_open:
            await self._open()
        # A time-out costs a task; whoever finds a connection free needs none.
        patience = None if self.callers <= self._size else POOL_TIMEOUT
        return await self._pool.acquire(timeout=patience)

    async def release(self, connection: Connection) -> None:
        await self._pool.release(connection)

    async def _open(self) -> None:
        async with self._opening:
            if not self._is_open:
                await self._pool
                self._is_open = True


class _Lent:
    """A connection for as long as the block lasts; what the driver says of an outage becomes DatabaseUnavailable.

    A class, since calls wait for it: a generator costs several times as much.
    """

    __slots__ = ("_connection", "_database")

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None

    async def __aenter__(self) -> Connection:
        self._database.callers += 1
        try:
            self._connection = await self._database.acquire()
        except BaseException as error:
            self._database.callers -= 1
            _raise_if_unavailable(error)
            raise
        return self._connection

    async def __aexit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        try:
            await self._database.release(self._connection)
        except BaseException as failure:
            _raise_if_unavailable(failure)
            raise
        finally:
            self._database.callers -= 1
        _raise_if_unavailable(error)


def _raise_if_unavailable(error: BaseException | None) -> None:
    if isinstance(error, (*DRIVER_ERRORS, OSError, TimeoutError)) and is_unavailable(error):
        raise DatabaseUnavailable(DatabaseUnavailable.__doc__) from error


def affected(status: str) -> int:
    """How many rows a statement changed, by the status that `execute` returns: `DELETE 3`."""
    return int(status.rpartition(" ")[2])


def assignments(changes: Mapping[str, object]) -> str:
    """`a = $2, b = $3` for an UPDATE whose $1 is the key. The names are columns that our own code chose."""
    return ", ".join(f"{column} = ${number}" for number, column in enumerate(changes, 2))


def plain_url(url: str) -> str:
    """`url` as the driver takes it: SQLAlchemy's way to name the driver in the scheme is accepted too."""
    return f"postgresql://{url.partition('://')[2]}"


def connect_arguments(name: str) -> dict[str, object]:
    """What asyncpg is told at each connection."""
    return {
        "timeout": CONNECT_TIMEOUT,
        "command_timeout": STATEMENT_TIMEOUT + 1,
        "server_settings": {
            "application_name": f"meetingpool {name}",
            "statement_timeout": str(int(STATEMENT_TIMEOUT * 1000)),
            "idle_in_transaction_session_timeout": "30000",
            "jit": "off",
        },
    }


def is_unavailable(error: Exception) -> bool:
    """Whether an error of the driver says that the database is away, and not that a statement is wrong."""
    if not isinstance(error, asyncpg.PostgresError):
        # Some of the driver's errors about the use of a connection are ValueErrors too: those are ours.
        return not isinstance(error, ValueError)
    sqlstate = getattr(error, "sqlstate", None)
    return is_transient(sqlstate) or is_refused(sqlstate)


async def _prepare(keyring: Keyring, connection: KeyedConnection) -> None:
    """JSON goes in and comes out as what it stands for."""
    connection.keyring = keyring
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)


async def _nothing(_connection: object) -> None:
    pass


def is_transient(sqlstate: str | None) -> bool:
    """Whether an error of this SQLSTATE passes by itself: connection, shutdown, time-out, deadlock, read-only, starting."""
    return sqlstate is not None and (sqlstate[:2] in ("08", "40", "53", "57", "58") or sqlstate in ("25006", "55000"))


def is_refused(sqlstate: str | None) -> bool:
    """Whether an error of this SQLSTATE says that the user, the password or the name of the database is wrong."""
    return sqlstate is not None and sqlstate[:2] in ("28", "3D")
