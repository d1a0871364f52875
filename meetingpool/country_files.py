"""In which country or continent an address is, by a file in the MMDB format, as MaxMind, DB-IP and IPinfo give out.

The gateway asks for each create, `doctor` tries the file. What is asked is a copy of our own: a file that is overwritten while it
is mapped into memory would end the process, and so would a damaged one, were it read by the package's extension in C.
"""

import os
import shutil
import tempfile
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meetingpool.domain.addresses import Address, unmapped
from meetingpool.logs import get_logger
from meetingpool.settings import Settings, SettingsError

if TYPE_CHECKING:
    from maxminddb import Reader

# Networks at the beginning of a file, of which one at least has a country.
_TRIED = 1000
# MaxMind and DB-IP put codes into parts of a record; in IPinfo's records they stand by themselves.
_NESTED = {"country": "iso_code", "continent": "code"}

# What reading a file raises that is not as it should be: the package's own error is a RuntimeError.
_DAMAGED = (RuntimeError, TypeError, ValueError)

log = get_logger()

Identity = tuple[int, int, int]


class CountryFileUnusable(SettingsError):
    """A sentence that says what is wrong with the file, and what to do."""


class CountryFile:
    """The file as it is now, or was when it could last be used. `field`: country or continent; `beside`: where copies may lie."""

    def __init__(self, path: Path, field: str, beside: Path) -> None:
        """Raises CountryFileUnusable."""
        self._path = path
        self._field = field
        self._beside = beside
        self._seen = self._identity()
        self._reader = self._open()

    def code_of(self, address: Address) -> str | None:
        """The code of the country or continent; None where the file knows none."""
        try:
            return _code_in(self._reader.get(unmapped(address)), self._field)
        except _DAMAGED:
            # Or it is about IPv4 only.
            return None

    def refresh(self) -> None:
        """Takes the file again if it is another one by now. One that cannot be used changes nothing, and is logged once."""
        seen = self._identity()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._reader = self._open()
        except CountryFileUnusable as error:
            log.warning("country_file_not_taken", reason=str(error))
        else:
            log.info("country_file_taken", path=str(self._path))

    def _open(self) -> "Reader":
        try:
            reader = _opened_copy(self._path, self._beside)
            records = (record for _, record in islice(reader, _TRIED))
            has_codes = any(_code_in(record, self._field) for record in records)
        except OSError as error:
            raise self._unusable(f"cannot be read ({error.strerror or error}): check its path and mode") from None
        except _DAMAGED:
            raise self._unusable("is no MMDB file, or not a whole one: fetch it again") from None
        if not has_codes:
            raise self._unusable(f"says nothing of any {self._field}: take a database of countries")
        return reader

    def _unusable(self, why: str) -> CountryFileUnusable:
        return CountryFileUnusable(f"MEETINGPOOL_REGION_MMDB names {self._path}, which {why}")

    def _identity(self) -> Identity | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns


def country_file(settings: Settings) -> CountryFile | None:
    """The file of the settings, if there is one. Raises CountryFileUnusable."""
    if settings.region_mmdb is None:
        return None
    return CountryFile(settings.region_mmdb, settings.region_mmdb_field, settings.data_dir)


def _opened_copy(path: Path, beside: Path) -> "Reader":
    """Raises OSError, or one of _DAMAGED."""
    # Nobody pays for it who has no such file.
    from maxminddb import MODE_MMAP, open_database

    # Once it is mapped into memory, it needs no name any more.
    with path.open("rb") as file, tempfile.NamedTemporaryFile(dir=beside if os.access(beside, os.W_OK) else None) as copy:
        shutil.copyfileobj(file, copy)
        copy.flush()
        return open_database(copy.name, MODE_MMAP)


def _code_in(record: Any, field: str) -> str | None:
    if not isinstance(record, dict):
        return None
    part = record.get(field)
    code = part.get(_NESTED[field]) if isinstance(part, dict) else record.get(f"{field}_code")
    return code if isinstance(code, str) and code else None
