"""How a process reaches PostgreSQL: one engine with bounds on everything, and the two ways to use it."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from sqlalchemy import event, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

Connection = AsyncConnection

STATEMENT_TIMEOUT = 4.0
CONNECT_TIMEOUT = 3.0
POOL_TIMEOUT = 3.0


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

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """A transaction: committed at the end, rolled back on an exception. Raises DatabaseUnavailable."""
        return _translated(self.engine.begin())

    @property
    def checked_out(self) -> int:
        """Connections in use now. Zero whenever this process waits for a server."""
        return self.engine.pool.checkedout()  # type: ignore[attr-defined, no-any-return]

    async def close(self) -> None:
        await self.engine.dispose()


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


def is_transient(sqlstate: str | None) -> bool:
    """Whether an error of this SQLSTATE passes by itself: connection, shutdown, time-out, deadlock, read-only, starting."""
    return sqlstate is not None and (sqlstate[:2] in ("08", "40", "53", "57", "58") or sqlstate in ("25006", "55000"))


def is_refused(sqlstate: str | None) -> bool:
    """Whether an error of this SQLSTATE says that the user, the password or the name of the database is wrong."""
    return sqlstate is not None and sqlstate[:2] in ("28", "3D")
