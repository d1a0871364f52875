"""How a process reaches PostgreSQL: bounds on everything, and two ways to use it.

`transaction` for several statements, by SQLAlchemy. `statement` for the one statement that a call waits for: on a connection of
the driver itself it costs half of the CPU and a third of the round trips.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy import event, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

Connection = AsyncConnection
# Runs one statement with its arguments; returns the first row, by column names, or None.
Statement = Callable[..., Awaitable[Any]]

STATEMENT_TIMEOUT = 4.0
CONNECT_TIMEOUT = 3.0
POOL_TIMEOUT = 3.0
CLOSE_TIMEOUT = 2.0
# Seconds after which a connection that nobody used is closed.
IDLE_LIFETIME = 300.0


class DatabaseUnavailable(Exception):
    """The database does not answer. Check that it runs and that MEETINGPOOL_DATABASE_URL is right, then try again."""


class Database:
    """One pool of connections. `name` shows in pg_stat_activity."""

    def __init__(self, url: str, *, name: str, pool_size: int = 5) -> None:
        self.url = url
        self.name = name
        self.engine: AsyncEngine = create_async_engine(
            sqlalchemy_url(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=POOL_TIMEOUT,
            pool_pre_ping=False,
            hide_parameters=True,
            connect_args=connect_arguments(name),
        )
        event.listen(self.engine.sync_engine, "checkout", _refuse_closed)
        self._statements = asyncpg.create_pool(
            plain_url(url),
            min_size=0,
            max_size=pool_size,
            max_inactive_connection_lifetime=IDLE_LIFETIME,
            # One statement leaves nothing behind that would have to be reset.
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
        self.callers += 1
        try:
            async with _translated(self.engine.begin()) as connection:
                yield connection
        finally:
            self.callers -= 1

    async def statement(self, statement: str, *arguments: object) -> Any:
        """The first row of one statement, which is a transaction of its own; None without rows. Raises DatabaseUnavailable."""
        self.callers += 1
        try:
            if not self._is_open:
                await self._open()
            # A time-out costs a task; whoever finds a connection free needs none.
            patience = None if self._statements.get_idle_size() else POOL_TIMEOUT
            async with self._statements.acquire(timeout=patience) as connection:
                return await connection.fetchrow(statement, *arguments)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            if is_unavailable(error):
                raise DatabaseUnavailable(DatabaseUnavailable.__doc__) from error
            raise
        finally:
            self.callers -= 1

    @property
    def checked_out(self) -> int:
        """Connections in use now. Zero whenever this process waits for a server."""
        in_statements = self._statements.get_size() - self._statements.get_idle_size()
        return self.engine.pool.checkedout() + in_statements  # type: ignore[attr-defined, no-any-return]

    async def close(self) -> None:
        await self.engine.dispose()
        if self._is_open:
            try:
                await asyncio.wait_for(self._statements.close(), CLOSE_TIMEOUT)
            except TimeoutError:
                self._statements.terminate()

    async def _open(self) -> None:
        async with self._opening:
            if not self._is_open:
                await self._statements
                self._is_open = True


def statements_of(connection: Connection) -> Statement:
    """Statements as `Database.statement` takes them, in the transaction of `connection`."""

    async def statement(statement: str, *arguments: object) -> Any:
        return (await connection.exec_driver_sql(statement, arguments)).mappings().first()

    return statement


def sqlalchemy_url(url: str) -> str:
    """`url` (postgresql://…) with the driver named."""
    return make_url(url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


def plain_url(url: str) -> str:
    """`url` as asyncpg itself takes it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


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


def _refuse_closed(connection: Any, _record: object, _proxy: object) -> None:
    """A connection that was closed while nobody used it is replaced before anybody gets it."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


@asynccontextmanager
async def _translated(connecting: AbstractAsyncContextManager[Connection]) -> AsyncIterator[Connection]:
    try:
        async with connecting as connection:
            yield connection
    except (OperationalError, InterfaceError, PoolTimeoutError, OSError, TimeoutError) as error:
        raise DatabaseUnavailable(DatabaseUnavailable.__doc__) from error
    except DBAPIError as error:
        sqlstate = getattr(error.orig, "sqlstate", None)
        if error.connection_invalidated or is_transient(sqlstate) or is_refused(sqlstate):
            raise DatabaseUnavailable(DatabaseUnavailable.__doc__) from error
        raise


def is_unavailable(error: Exception) -> bool:
    """Whether an error of the driver says that the database is away, and not that a statement is wrong."""
    if not isinstance(error, asyncpg.PostgresError):
        # Some of the driver's errors about the use of a connection are ValueErrors too: those are ours.
        return not isinstance(error, ValueError)
    sqlstate = getattr(error, "sqlstate", None)
    return is_transient(sqlstate) or is_refused(sqlstate)


async def _nothing(_connection: object) -> None:
    pass


def is_transient(sqlstate: str | None) -> bool:
    """Whether an error of this SQLSTATE passes by itself: connection, shutdown, time-out, deadlock, read-only, starting."""
    return sqlstate is not None and (sqlstate[:2] in ("08", "40", "53", "57", "58") or sqlstate in ("25006", "55000"))


def is_refused(sqlstate: str | None) -> bool:
    """Whether an error of this SQLSTATE says that the user, the password or the name of the database is wrong."""
    return sqlstate is not None and sqlstate[:2] in ("28", "3D")
