"""Secrets as the database keeps them: sealed, each for the column and the row where it stands.

`seal` and `unseal` are called by those who write and read such rows. All that is kept is read when a process starts, and written
anew when a database is upgraded or keys are rotated.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

from meetingpool.database.engine import Connection, Database, DatabaseUnavailable
from meetingpool.secret_keys import Damaged, NoSuchKey, key_id_of

# In the order in which others lock rows: the tenant of a new meeting before its server.
COLUMNS = ("tenants.secrets", "tenants.lrs", "servers.secret", "alert_hooks.secret", "installation.callback_key")
# What is secret of a tenant's access to learning records.
_SECRET_FIELDS = ("password", "client_secret", "token_password")

# A column holds a text, several, or texts by their names of which some are secret.
Value = TypeVar("Value", str, list[str], dict[str, str])
# What is made of one text in a column of a row.
_Work = Callable[[str, object, str], str]


class SecretsUnreadable(DatabaseUnavailable):
    """Secrets of the database cannot be read, or none can be written, with the keys of this process.

    A process that runs takes it as if the database were away: what it knows goes on working, and it tries again.
    """


def seal(connection: Connection, column: str, row_id: object, clear: Value) -> Value:
    """`clear` as it is kept in `column`, such as `servers.secret`, of a row. Raises SecretsUnreadable when there is no key."""
    return _made_of(clear, partial(_sealed, connection), column, row_id)


def unseal(connection: Connection, column: str, row_id: object, kept: Value) -> Value:
    """What is kept in `column` of a row. Raises SecretsUnreadable with what to do."""
    return _made_of(kept, partial(_unsealed, connection), column, row_id)


async def require_keys(database: Database) -> None:
    """Raises SecretsUnreadable unless there is a key for all that is kept. Nothing is decrypted, so it costs little."""
    async with database.transaction() as connection:
        used = await keys_in_use(connection)
        missing = used.keys() - {None, *connection.keyring.ids}
    if missing:
        raise _missing(map(str, missing))


async def require_secrets(database: Database) -> None:
    """Raises SecretsUnreadable unless all that is kept can be read."""
    await require_keys(database)
    async with database.transaction() as connection:
        for column in COLUMNS:
            for row in await connection.fetch(_select(column)):
                _made_of(row["kept"], partial(_unsealed, connection), column, row["id"])


async def keys_in_use(connection: Connection) -> Counter[str | None]:
    """How many secrets are sealed with each key, by its id, and how many are kept clear, by None."""
    used: Counter[str | None] = Counter()

    def count(_column: str, _row_id: object, kept: str) -> str:
        used[key_id_of(kept)] += 1
        return kept

    for column in COLUMNS:
        for row in await connection.fetch(_select(column)):
            _made_of(row["kept"], count, column, row["id"])
    return used


async def seal_anew(connection: Connection, *, only_clear: bool = False) -> Counter[str | None]:
    """Seals with the first key what is not; `only_clear`: only what is not sealed at all. Counts it, by the keys that it had.

    Until the transaction ends nobody else writes to these rows. Raises SecretsUnreadable.
    """
    had: Counter[str | None] = Counter()

    def anew(column: str, row_id: object, kept: str) -> str:
        key_id = key_id_of(kept)
        if key_id in connection.keyring.ids[:1] or (only_clear and key_id):
            return kept
        had[key_id] += 1
        return _sealed(connection, column, row_id, _unsealed(connection, column, row_id, kept))

    for column in COLUMNS:
        table, _, name = column.partition(".")
        rows = await connection.fetch(f"{_select(column)} ORDER BY id FOR NO KEY UPDATE")
        written = [(row["id"], _made_of(row["kept"], anew, column, row["id"])) for row in rows]
        changed = [pair for pair, row in zip(written, rows, strict=True) if pair[1] != row["kept"]]
        await connection.executemany(f"UPDATE {table} SET {name} = $2 WHERE id = $1", changed)
    return had


def _select(column: str) -> str:
    table, _, name = column.partition(".")
    return f"SELECT id, {name} AS kept FROM {table} WHERE {name} IS NOT NULL"


def _made_of(value: Value, work: _Work, column: str, row_id: object) -> Value:
    """What `work` makes of each secret in the value of a column."""
    match value:
        case str():
            return work(column, row_id, value)
        case list():
            return [work(column, row_id, text) for text in value]
        case _:
            return {
                # What is empty is what the tenant does not have.
                name: work(f"{column}.{name}", row_id, text) if name in _SECRET_FIELDS and text else text
                for name, text in value.items()
            }


def _sealed(connection: Connection, column: str, row_id: object, clear: str) -> str:
    try:
        sealed: str = connection.keyring.seal(clear, f"{column}:{row_id}")
    except NoSuchKey:
        raise SecretsUnreadable(
            "There is no key to encrypt secrets with: set MEETINGPOOL_SECRET_KEY or MEETINGPOOL_SECRET_KEY_FILE to that of the "
            "installation, or let `meetingpool db upgrade` generate one in the data directory"
        ) from None
    return sealed


def _unsealed(connection: Connection, column: str, row_id: object, kept: str) -> str:
    try:
        clear: str = connection.keyring.unseal(kept, f"{column}:{row_id}")
    except NoSuchKey as error:
        raise _missing([str(error)]) from None
    except Damaged:
        raise SecretsUnreadable(
            f"A secret in the database, {column} of {row_id}, was damaged or copied from another row: "
            "write it anew, as docs/secrets.md says"
        ) from None
    return clear


def _missing(key_ids: Iterable[str]) -> SecretsUnreadable:
    named = ", ".join(sorted(key_ids))
    return SecretsUnreadable(
        f"Secrets in the database are encrypted with a key that this process does not have ({named}): give it in "
        "MEETINGPOOL_SECRET_KEY or MEETINGPOOL_SECRET_KEY_FILE, or copy the file secret_key of the machine that has it into "
        "MEETINGPOOL_DATA_DIR"
    )
