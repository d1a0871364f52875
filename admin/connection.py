"""How a command reaches the database: the one of the settings, or the embedded one for as long as the command runs."""

import asyncio
import os
import pwd
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from typing import TypeVar

from meetingpool.database.embedded import acquire_embedded
from meetingpool.database.engine import Database
from meetingpool.database.revision import current_revision, require_revision
from meetingpool.database.sealed_secrets import require_keys
from meetingpool.domain.audit import Actor, ActorKind
from meetingpool.operations import changes
from meetingpool.operations.changes import Change
from meetingpool.operations.rotate_keys import seal_clear_secrets
from meetingpool.secret_keys import generated_key_file, keyring_of
from meetingpool.settings import Settings, read_settings

T = TypeVar("T")

_STOPPING = (signal.SIGINT, signal.SIGTERM)


def with_database(work: Callable[[Database, Settings], Awaitable[T]]) -> T:
    """What `work` returns, done on a database of the right revision, whose secrets there are keys for.

    Raises DatabaseUnavailable, SecretsUnreadable or WrongRevision.
    """
    settings = read_settings()
    with database_url(settings) as url:
        return asyncio.run(_work_on(url, settings, work))


@contextmanager
def database_url(settings: Settings) -> Iterator[str]:
    """The URL of the database, which is there until the context ends. It ends as well when SIGTERM comes."""
    end_by_sigterm()
    if settings.database_url:
        yield settings.database_url
        return
    with ExitStack() as held:
        with _undisturbed():
            embedded = acquire_embedded(settings.data_dir)
            held.callback(_undisturbed()(embedded.release))
        yield embedded.url


async def upgrade_schema(url: str, settings: Settings) -> None:
    """Brings the database to the needed revision, and encrypts the secrets that earlier versions kept clear.

    Raises DatabaseUnavailable, SecretsUnreadable, or WrongRevision when the database is of a newer version.
    """
    # What runs migrations takes longer to load than most commands take in all.
    from meetingpool.database.migrate import upgrade

    database = Database(url, name="upgrade", pool_size=1)
    try:
        await current_revision(database)
        await upgrade(url)
        await require_revision(database)
    finally:
        await database.close()
    await seal_clear_secrets(url, settings)


def tell_where_the_key_is(settings: Settings) -> None:
    """Nothing is said when the settings give the key: whoever set it knows."""
    if path := generated_key_file(settings):
        print(f"The key for the secrets in the database is in {path}: keep a copy of it, apart from the database", flush=True)


def end_by_sigterm() -> None:
    """From now on SIGTERM raises KeyboardInterrupt, as SIGINT does, so that contexts end well."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def changing(database: Database, *, dry_run: bool) -> AbstractAsyncContextManager[Change]:
    """A transaction in which this command changes something; it is thrown away at its end when `dry_run`."""
    return changes.changing(database, this_account(), dry_run=dry_run)


async def note_shown(database: Database, action: str, subject: str, *, tenant: str | None = None) -> None:
    """Keeps in the audit that this command shows secrets of `subject`."""
    async with changing(database, dry_run=False) as change:
        await change.note(action, subject, tenant=tenant)


def this_account() -> Actor:
    """Who runs this command. Under sudo, who called it."""
    user = os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
    return Actor(kind=ActorKind.COMMAND, name=f"{user}@{socket.gethostname()}")


async def _work_on(url: str, settings: Settings, work: Callable[[Database, Settings], Awaitable[T]]) -> T:
    await _prepare_embedded(url, settings)
    database = Database(url, name="command", pool_size=2, keyring=keyring_of(settings))
    try:
        await require_revision(database)
        await require_keys(database)
        return await work(database, settings)
    finally:
        await database.close()


async def _prepare_embedded(url: str, settings: Settings) -> None:
    """Gives an embedded database that is new its schema: nobody else can have meant to."""
    if settings.database_url:
        return
    database = Database(url, name="command", pool_size=1)
    try:
        is_new = await current_revision(database) is None
    finally:
        await database.close()
    if is_new:
        await upgrade_schema(url, settings)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Holds signals back, also from the programs that are started meanwhile, so that no half-started server stays behind."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
