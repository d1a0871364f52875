"""Looks at the directories of recordings, as the user who runs this. Called by `meetingpool doctor`.

Wrong owners on NFS are what goes wrong most often, so each finding names the numbers that were seen.
"""

import asyncio
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path
from threading import Thread

from meetingpool.library.storage import StorageUnusable
from meetingpool.library.trial import Ownership, Room, TrialFailed, ownership, room_in, try_changes, try_move
from meetingpool.operations.diagnosis import Area, Finding
from meetingpool.operations.open_library import STORAGE_TIMEOUT, storage_of
from meetingpool.settings import Settings

_AREA = Area("directories")
_Look = Callable[[], Iterator[Finding]]
_GIB = 1024**3
_LEAST_FREE = 1 * _GIB
_LITTLE_SHARE = 0.1
_LEAST_FILES_SHARE = 0.02
_ADVICE = {
    errno.EROFS: "it is read-only: look at the export on the file server and at the options of the mount",
    errno.ENOSPC: "make room there: `df -h` and `df -i`",
    errno.EDQUOT: "raise the quota of this user there",
    errno.ESTALE: "mount it again: the file server has exported it anew",
    errno.EXDEV: "put work, published and unpublished on one mount, so that recordings are moved at once or not at all",
    errno.ENOTDIR: "put a directory there, or set another one",
    errno.ENOENT: "make it, or check that it is mounted",
}


async def diagnose_directories(settings: Settings, storage_id: str | None, *, is_known: bool) -> list[Finding]:
    """`storage_id`: what they are to be marked with, None when they were never used; `is_known`: whether that is known at all."""
    if settings.recording_disabled:
        return [_AREA.fine("recordings", "RECORDING_DISABLED says that there are none")]
    storage = storage_of(settings)
    roots = {"published": storage.publish_dir, "unpublished": storage.unpublish_dir, "work": storage.work_dir}
    are_ours = not (settings.recording_publish_dir or settings.recording_unpublish_dir or settings.recording_work_dir)
    is_new = storage_id is None and (is_known or are_ours)
    if is_new and not any(root.exists() for root in roots.values()):
        advice = "start `meetingpool recordings run`, which makes them, or set RECORDING_DISABLED=true"
        return [*_user(), _AREA.note("recordings", "there are no directories of recordings yet", advice)]
    spools = {f"spool {number}": spool.absolute() for number, spool in enumerate(settings.spool_dirs, 1)}
    looks: list[_Look] = [partial(_try, name, root) for name, root in (roots | spools).items()]
    looks += [partial(_try_move, roots["work"], roots[name]) for name in ("published", "unpublished")]
    if storage_id is not None:
        looks.append(partial(_mark, settings, storage_id))
    found = await asyncio.gather(*map(_patiently, looks))
    return [*_user(), *chain.from_iterable(found)]


async def _patiently(look: _Look) -> list[Finding]:
    """A file server that is away makes everybody wait for ever, so the thread that asks it must keep nobody from ending."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[Finding]] = loop.create_future()

    def settle(found: list[Finding]) -> None:
        if not answer.done():
            answer.set_result(found)

    def run() -> None:
        found = list(look())
        # Nobody waits any more when the loop is closed.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, found)

    Thread(target=run, daemon=True).start()
    try:
        return await asyncio.wait_for(answer, STORAGE_TIMEOUT)
    except TimeoutError:
        said = f"a directory did not answer within {STORAGE_TIMEOUT:g} s"
        return [_AREA.problem("storage", said, "check its mount, and the file server behind it")]


def _user() -> Iterator[Finding]:
    if os.geteuid() == 0:
        advice = "call it as the user of the recordings worker: `sudo -u USER meetingpool doctor`"
        yield _AREA.note("user", "this was tried as root, who may do what that user may not", advice)


def _try(name: str, directory: Path) -> Iterator[Finding]:
    subject, seen = f"{name} {directory}", None
    try:
        seen = ownership(directory)
        owner = try_changes(directory)
        room = room_in(directory)
    except TrialFailed as error:
        yield _AREA.problem(subject, f"cannot {error.step} ({error.reason}){_numbers(seen)}", _advice(error.number, seen))
        return
    found = [*_owners(subject, seen, owner), *_room(subject, room)]
    yield from found or [_AREA.fine(subject, f"create, rename and delete work; it has {room.free / _GIB:.0f} GiB left")]
    if name.startswith("spool"):
        yield from _spool(subject, seen)


def _owners(subject: str, seen: Ownership, owner: int) -> Iterator[Finding]:
    if owner != os.geteuid():
        said = f"what uid {os.geteuid()} creates there belongs to uid {owner}{_numbers(seen)}"
        advice = "the file server maps users (root_squash, all_squash, idmapd): let the worker run as a user that it knows"
        yield _AREA.problem(subject, said, advice)


def _room(subject: str, room: Room) -> Iterator[Finding]:
    said = f"{room.free / _GIB:.1f} GiB ({100 * room.share:.0f} %) are free"
    if room.free < _LEAST_FREE:
        yield _AREA.problem(subject, said, "make room: `meetingpool recordings purge` removes what was deleted")
    elif room.share < _LITTLE_SHARE:
        yield _AREA.note(subject, said, "make room soon: `meetingpool recordings purge` removes what was deleted")
    if room.files_share < _LEAST_FILES_SHARE:
        yield _AREA.problem(subject, f"{100 * room.files_share:.0f} % of its inodes are free", "make room: `df -i`")


def _spool(subject: str, seen: Ownership) -> Iterator[Finding]:
    if seen.is_sticky and os.geteuid() not in (0, seen.uid):
        said = f"it is sticky{_numbers(seen)}: archives of others cannot be taken from it"
        yield _AREA.problem(subject, said, "take the sticky bit away on the file server: `chmod -t`")


def _try_move(source: Path, target: Path) -> Iterator[Finding]:
    subject = f"{source} to {target}"
    try:
        try_move(source, target)
    except TrialFailed as error:
        if source.is_dir() and target.is_dir():
            yield _AREA.problem(subject, f"cannot {error.step} ({error.reason})", _advice(error.number, None))
    else:
        yield _AREA.fine(subject, "they are on one file system")


def _mark(settings: Settings, storage_id: str) -> Iterator[Finding]:
    try:
        storage_of(settings).require(storage_id)
    except StorageUnusable as error:
        sentence, _, advice = str(error).partition(": ")
        yield _AREA.problem("mark", sentence, advice or "set the directories that belong to this database")
    except OSError as error:
        yield _AREA.problem("mark", f"it cannot be read ({error.strerror})", "check the mount")
    else:
        yield _AREA.fine("mark", "the directories are those of this database")


def _numbers(seen: Ownership | None) -> str:
    """Both sides in numbers: what the file server compares."""
    groups = ", ".join(map(str, sorted({os.getegid(), *os.getgroups()})))
    us = f"we are uid {os.geteuid()} with the groups {groups}"
    return f"; it has {seen}, and {us}" if seen else f"; {us}"


def _advice(number: int, seen: Ownership | None) -> str:
    if number in (errno.EACCES, errno.EPERM) and seen:
        return (
            f"let the worker run as uid {seen.uid} or in group {seen.gid} with `chmod g+rwx`, or give the directory to uid "
            f"{os.geteuid()} on the file server; docs/nfs.md says how"
        )
    return _ADVICE.get(number, "check the directories above it, the mount and the file server; docs/nfs.md says how")
