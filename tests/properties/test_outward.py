"""No way of writing an address opens a door inward, and no text that is given as a URL is more than refused."""

import contextlib
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetingpool.domain.addresses import is_public
from meetingpool.outward import ForbiddenAddress, read_host_pattern, require_allowed

INSIDE = (
    "10.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "0.0.0.0/8",
    "224.0.0.0/3",
)

inside = st.one_of([st.ip_addresses(v=4, network=network) for network in INSIDE])
notations = st.sampled_from([str, hex, oct])


def number(value: int, notation: object) -> str:
    """As inet_aton reads it."""
    return hex(value) if notation is hex else f"0{value:o}" if notation is oct else str(value)


@given(inside, st.integers(1, 4), st.lists(notations, min_size=4, max_size=4), st.booleans())
def test_inner_address_is_refused_however_it_is_written(
    address: IPv4Address, parts: int, written: list[object], ends_in_dot: bool
) -> None:
    value = int(address)
    last = value & (1 << 8 * (5 - parts)) - 1
    numbers = [*[value >> 24, value >> 16 & 255, value >> 8 & 255][: parts - 1], last]
    host = ".".join(number(part, notation) for part, notation in zip(numbers, written, strict=False))

    with pytest.raises(ForbiddenAddress):
        require_allowed(f"http://{host}{'.' if ends_in_dot else ''}:8080/")


@given(inside, st.sampled_from(["::ffff:0:0", "::", "64:ff9b::", "64:ff9b:1::", "::ffff:0:0:0"]), st.integers(0, 0xFFFF))
def test_inner_address_is_refused_within_an_outer_one(address: IPv4Address, prefix: str, rest: int) -> None:
    value = int(address)
    hidden = [IPv6Address(int(ip_address(prefix)) | value)]
    hidden += [IPv6Address(0x2002 << 112 | value << 80 | rest), IPv6Address(0x20010000 << 96 | rest << 32 | value ^ 0xFFFFFFFF)]

    for inner in hidden:
        assert not is_public(inner)
        with pytest.raises(ForbiddenAddress):
            require_allowed(f"http://[{inner}]:8080/")


@given(st.ip_addresses())
def test_only_addresses_of_the_internet_are_public(address: IPv4Address | IPv6Address) -> None:
    # The standard library keeps a list too, a shorter one.
    assert address.is_global or not is_public(address)


@given(st.ip_addresses(v=4))
def test_address_of_version_4_is_the_same_in_its_forms_of_version_6(address: IPv4Address) -> None:
    assert is_public(IPv6Address(f"::ffff:{address}")) == is_public(IPv6Address(f"64:ff9b::{address}")) == is_public(address)


@given(
    st.one_of(
        st.text(),
        st.text().map("http://".__add__),
        st.text(alphabet="0123456789abcdefx.:[]@/\\?#%-_ \u3002\uff10\uff0e\u2460").map("https://".__add__),
    )
)
def test_text_is_a_url_that_may_be_called_or_is_refused(url: str) -> None:
    with contextlib.suppress(ForbiddenAddress):
        target = require_allowed(url)

        assert target.url.scheme in ("http", "https")
        assert target.host.isascii()
        assert target.address is None or is_public(target.address)
        # What is checked is what would be requested.
        assert target.address is not None or target.url.raw_host.decode().removesuffix(".") == target.host
        assert require_allowed(str(target.url)).host == target.host


@given(st.text())
def test_text_is_a_host_pattern_or_is_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        pattern = read_host_pattern(text)

        assert read_host_pattern(pattern) == pattern
