"""Takes a tree into the library that no row knows: another load balancer's, or one that is newer than a backup of the database.

Whether front ends see it is decided by where it lies; whose it is, as for an archive, by what proves it, or by the word of an
administrator. Called by the repairs of the library.
"""

import asyncio
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from meetingpool.bbb.recording_documents import render
from meetingpool.bbb.recording_metadata import MetadataRefused, read_metadata
from meetingpool.database import recordings
from meetingpool.database.engine import Connection, Database
from meetingpool.database.recordings import Arrival, Entry
from meetingpool.domain.library_faults import Finding
from meetingpool.domain.recordings import LOCATION_OF, Delivered, Description, Location, Recording, RecordingState
from meetingpool.library import check
from meetingpool.library.manifest import Manifest
from meetingpool.library.storage import Storage
from meetingpool.library.unpack import MAX_METADATA_BYTES, METADATA
from meetingpool.operations.import_recording import ImportRules, merged
from meetingpool.operations.recording_origin import Origin, UnknownTenant, find_origin
from meetingpool.operations.settle_recording import Settler

_WANTED_IN = {location: wanted for wanted, location in LOCATION_OF.items()}


class NotAdopted(Exception):
    """A sentence that says why the tree stays as it is."""


class _Tree(NamedTuple):
    location: Location
    delivered: Delivered
    manifest: Manifest


class Adopter:
    """Adopts trees of one storage. `tenant`: the id of the one that they are of where nothing proves it.

    `quiet`: seconds for which nobody has touched a tree: it may still be copied.
    """

    def __init__(
        self, database: Database, storage: Storage, settler: Settler, rules: ImportRules, *, tenant: str | None, quiet: float
    ) -> None:
        self._database = database
        self._storage = storage
        self._settler = settler
        self._rules = rules
        self._tenant = tenant
        self._quiet = quiet

    async def adopt(self, finding: Finding) -> None:
        """Raises NotAdopted, TreeMissing, OSError and DatabaseUnavailable."""
        if finding.path is None or finding.record_id is None:
            raise NotAdopted("It is no tree of a recording")
        tree = await asyncio.to_thread(self._read, finding.path)
        async with self._database.transaction() as connection:
            await self._register(connection, tree)
        if not await self._settler.settle(finding.record_id):
            raise NotAdopted("It is in the database now; somebody else is moving its files")

    def _read(self, path: Path) -> _Tree:
        if check.last_change(path) > time.time() - self._quiet:
            raise NotAdopted(f"It was changed within the last {self._quiet:g} s, and may still be copied: call it again later")
        try:
            manifest = check.hashed(path)
            delivered = read_metadata(_metadata(path, manifest))
        except (check.TreeUnfit, MetadataRefused) as error:
            raise NotAdopted(f"It cannot be adopted: {error}") from error
        if (delivered.format.name, delivered.description.record_id) != (path.parent.name, path.name):
            raise NotAdopted(f"Its {METADATA} names another recording or format than its directories")
        location = next(each for each in Location if self._storage.root_of(each) == path.parent.parent)
        return _Tree(location, delivered, manifest)

    async def _register(self, connection: Connection, tree: _Tree) -> None:
        description = tree.delivered.description
        origin = await self._origin(connection, description)
        new = Recording(
            record_id=description.record_id,
            tenant=origin.key.tenant,
            meeting_id=origin.key.meeting_id,
            state=RecordingState.PROCESSING,
            is_protected=self._rules.is_protected,
        )
        await recordings.insert_entry(connection, new, _WANTED_IN[tree.location])
        entry = await recordings.lock_entry(connection, description.record_id)
        if entry is None:
            raise NotAdopted("Its recording is gone")
        _require_welcome(entry, origin, tree)
        arrival = _arrival(tree)
        await recordings.put_arrival(connection, description.record_id, arrival)
        await recordings.place_arrival(connection, description.record_id, arrival, tree.location)
        entry = replace(merged(entry, description, origin), is_settled=False)
        await recordings.write_entry(connection, entry, render(entry.recording))

    async def _origin(self, connection: Connection, description: Description) -> Origin:
        """By the proof, if there is one."""
        find = partial(
            find_origin,
            connection,
            description,
            callback_key=self._rules.callback_key,
            are_many=self._rules.are_many_tenants,
        )
        try:
            return await find(tenant=None)
        except UnknownTenant:
            if self._tenant is None:
                raise NotAdopted("Nothing proves which tenant it is of: name it with --tenant") from None
            return await find(tenant=self._tenant)


def _metadata(path: Path, manifest: Manifest) -> bytes:
    found = next((entry for entry in manifest.entries if entry.path == METADATA), None)
    if found is None:
        raise NotAdopted(f"There is no {METADATA} in it")
    if found.bytes > MAX_METADATA_BYTES:
        raise NotAdopted(f"Its {METADATA} has {found.bytes} bytes")
    return (path / METADATA).read_bytes()


def _require_welcome(entry: Entry, origin: Origin, tree: _Tree) -> None:
    name = tree.delivered.format.name
    if entry.recording.tenant != origin.key.tenant:
        raise NotAdopted("A recording with this id belongs to another tenant")
    if name in {*(each.format.name for each in entry.placed), *(each.format.name for each in entry.arrivals)}:
        raise NotAdopted("The database knows this format by now, in another directory: call it again")
    # The files of a recording that was deleted long ago would be purged at once.
    if entry.wanted is RecordingState.DELETED and tree.location is not Location.TRASH:
        raise NotAdopted("The recording was deleted: bring it back with `recordings restore` first, or remove the files")


def _arrival(tree: _Tree) -> Arrival:
    """It is there already: it is placed as soon as it is known."""
    return Arrival(
        format=tree.delivered.format,
        directory="",
        inode=0,
        files=tree.manifest.files,
        total_bytes=tree.manifest.bytes,
        digest=tree.manifest.digest,
        manifest=tree.manifest.encode(),
    )
