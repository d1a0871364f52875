"""Files that say in which country an address is: those of several makers, replaced ones, and those that cannot be used."""

import os
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetingpool.country_files import CountryFile, CountryFileUnusable
from tests.logs import Event
from tests.mmdb import of_country, write_mmdb

NETWORK, ADDRESS = "203.0.113.0/24", ip_address("203.0.113.9")


def opened(path: Path, field: str = "country") -> CountryFile:
    return CountryFile(path, field, path.parent)


@pytest.mark.parametrize(
    ("record", "field", "code"),
    [
        (of_country("DE", "EU"), "country", "DE"),
        (of_country("DE", "EU"), "continent", "EU"),
        ({"country": "Germany", "country_code": "DE", "continent": "Europe", "continent_code": "EU"}, "country", "DE"),
        ({"country": "Germany", "country_code": "DE", "continent": "Europe", "continent_code": "EU"}, "continent", "EU"),
    ],
)
def test_code_is_found_in_files_of_all_makers(tmp_path: Path, record: Any, field: str, code: str) -> None:
    assert opened(write_mmdb(tmp_path / "file", {NETWORK: record}), field).code_of(ADDRESS) == code


def test_addresses_of_both_versions_are_found(tmp_path: Path) -> None:
    file = opened(write_mmdb(tmp_path / "file", {NETWORK: of_country("DE"), "2001:db8::/32": of_country("JP")}))
    assert [file.code_of(ip_address(each)) for each in ("203.0.113.9", "::ffff:203.0.113.9", "2001:db8::1")] == ["DE", "DE", "JP"]


@pytest.mark.parametrize("address", ["198.51.100.1", "2001:db8::1"])
def test_address_that_the_file_does_not_know_has_no_code(tmp_path: Path, address: str) -> None:
    file = opened(write_mmdb(tmp_path / "file", {NETWORK: of_country("DE")}, ip_version=4))
    assert file.code_of(ip_address(address)) is None


def test_record_without_a_code_is_passed_over(tmp_path: Path) -> None:
    records: dict[str, Any] = {"192.0.2.0/25": "a text", "192.0.2.128/25": {"country": {}}, NETWORK: of_country("DE")}
    file = opened(write_mmdb(tmp_path / "file", records))
    assert [file.code_of(ip_address(each)) for each in ("192.0.2.1", "192.0.2.200", "203.0.113.9")] == [None, None, "DE"]


def truncated(path: Path) -> None:
    write_mmdb(path, {NETWORK: of_country("DE")})
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda _: None, "cannot be read (No such file or directory)"),
        (lambda path: path.mkdir(), "cannot be read (Is a directory)"),
        (lambda path: path.write_bytes(b""), "is no MMDB file, or not a whole one"),
        (lambda path: path.write_bytes(b"<html>Too many downloads</html>"), "is no MMDB file, or not a whole one"),
        (truncated, "is no MMDB file, or not a whole one"),
        (lambda path: write_mmdb(path, {NETWORK: {"autonomous_system_number": "1"}}), "says nothing of any country"),
    ],
)
def test_file_that_cannot_be_used_is_refused_with_what_to_do(
    tmp_path: Path, make: Callable[[Path], object], complaint: str
) -> None:
    path = tmp_path / "countries.mmdb"
    make(path)
    with pytest.raises(CountryFileUnusable) as refused:
        CountryFile(path, "country", tmp_path)
    assert str(refused.value).startswith(f"MEETINGPOOL_REGION_MMDB names {path}, which {complaint}: ")


def test_replaced_file_counts_from_the_next_look_on(tmp_path: Path, logged: list[Event]) -> None:
    path = write_mmdb(tmp_path / "file", {NETWORK: of_country("DE")})
    file = opened(path)
    write_mmdb(tmp_path / "newer", {NETWORK: of_country("FR")}).replace(path)
    assert file.code_of(ADDRESS) == "DE"
    file.refresh()
    assert file.code_of(ADDRESS) == "FR"
    assert [event["event"] for event in logged] == ["country_file_taken"]


@pytest.mark.parametrize(
    "spoil",
    [lambda path: path.unlink(), lambda path: path.write_bytes(b"half"), lambda path: os.truncate(path, 0), truncated],
)
def test_file_that_is_gone_or_overwritten_is_answered_from_as_it_was(
    tmp_path: Path, spoil: Callable[[Path], object], logged: list[Event]
) -> None:
    path = write_mmdb(tmp_path / "file", {NETWORK: of_country("DE"), "10.0.0.0/8": of_country("FR")})
    file = opened(path)
    spoil(path)
    for _ in range(3):
        assert file.code_of(ADDRESS) == "DE"
        file.refresh()
    assert [event["event"] for event in logged] == ["country_file_not_taken"]
    write_mmdb(path, {NETWORK: of_country("US")})
    file.refresh()
    assert file.code_of(ADDRESS) == "US"


@given(
    spots=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.none() | st.integers(0, 3000),
)
def test_damaged_file_is_refused_or_answered_from(
    tmp_path_factory: pytest.TempPathFactory, spots: list[tuple[int, int]], cut: int | None
) -> None:
    path = write_mmdb(tmp_path_factory.getbasetemp() / "damaged", {NETWORK: of_country("DE"), "10.0.0.0/8": of_country("FR")})
    written = bytearray(path.read_bytes())
    # Most of what can go wrong is described at the end.
    for from_end, byte in spots:
        written[-1 - from_end % len(written)] = byte
    path.write_bytes(written[:cut])
    with suppress(CountryFileUnusable):
        file = opened(path)
        assert all(isinstance(file.code_of(ip_address(each)), str | None) for each in ("203.0.113.9", "10.0.0.1", "2001:db8::1"))


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    path = write_mmdb(tmp_path / "file", {NETWORK: of_country("DE")})
    file = opened(path)
    assert file.code_of(ADDRESS) == "DE"
    assert list(tmp_path.iterdir()) == [path]


def test_copy_lies_elsewhere_when_there_is_no_room_beside(tmp_path: Path) -> None:
    path = write_mmdb(tmp_path / "file", {NETWORK: of_country("DE")})
    assert CountryFile(path, "country", tmp_path / "nowhere").code_of(ADDRESS) == "DE"
