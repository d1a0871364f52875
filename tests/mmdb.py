"""Writes files in the MMDB format, since the package that reads them writes none. https://maxmind.github.io/MaxMind-DB/."""

import struct
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

_RECORD_BITS = 32
_MAP, _STRING, _ARRAY = 7, 2, 11
_UINT16, _UINT32, _UINT64 = 5, 6, 9


def write_mmdb(path: Path, records: Mapping[str, Any], *, ip_version: int = 6) -> Path:
    """A file in which each network has its record. None of them may lie in another."""
    data, places = b"", []
    for record in records.values():
        places.append(len(data))
        data += _encoded(record)
    nodes: list[list[int | None]] = [[None, None]]
    for network, place in zip(records, places, strict=True):
        _insert(nodes, _bits(network, ip_version), place)
    # A record that is no node names its place in the data, behind the nodes and 16 bytes; or nothing, by the number of nodes.
    tree = b"".join(struct.pack(">I", _pointer(each, len(nodes))) for node in nodes for each in node)
    metadata = {
        "node_count": (_UINT32, len(nodes)),
        "record_size": (_UINT16, _RECORD_BITS),
        "ip_version": (_UINT16, ip_version),
        "database_type": "Test",
        "languages": ["en"],
        "binary_format_major_version": (_UINT16, 2),
        "binary_format_minor_version": (_UINT16, 0),
        "build_epoch": (_UINT64, 1_700_000_000),
        "description": {"en": "made by tests"},
    }
    path.write_bytes(tree + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + _encoded(metadata))
    return path


def of_country(code: str, continent: str = "EU") -> dict[str, Any]:
    """A record as MaxMind and DB-IP have them."""
    return {"country": {"iso_code": code}, "continent": {"code": continent}}


def _insert(nodes: list[list[int | None]], bits: str, place: int) -> None:
    at = 0
    for bit in map(int, bits[:-1]):
        following = nodes[at][bit]
        if following is None:
            nodes.append([None, None])
            following = nodes[at][bit] = len(nodes) - 1
        at = following
    # Told from nodes by being below none.
    nodes[at][int(bits[-1])] = -1 - place


def _pointer(record: int | None, nodes: int) -> int:
    if record is None:
        return nodes
    return record if record >= 0 else nodes + 16 + (-1 - record)


def _bits(text: str, ip_version: int) -> str:
    network = ip_network(text)
    bits = f"{int(network.network_address):0{network.max_prefixlen}b}"[: network.prefixlen]
    return bits if network.version == ip_version or ip_version == 4 else "0" * 96 + bits


def _encoded(value: Any) -> bytes:
    match value:
        case str():
            return _head(_STRING, len(value.encode())) + value.encode()
        case dict():
            parts = (_encoded(key) + _encoded(each) for key, each in value.items())
            return _head(_MAP, len(value)) + b"".join(parts)
        case list():
            return _head(_ARRAY, len(value)) + b"".join(map(_encoded, value))
        case (int() as kind, int() as number):
            digits = number.to_bytes((number.bit_length() + 7) // 8)
            return _head(kind, len(digits)) + digits
    raise ValueError(f"no way to write {value!r}")


def _head(kind: int, size: int) -> bytes:
    """The control byte; kinds from 8 stand in a byte of their own."""
    if size >= 29:
        raise ValueError("nothing here is that long")
    return bytes([kind << 5 | size]) if kind < 8 else bytes([size, kind - 7])
