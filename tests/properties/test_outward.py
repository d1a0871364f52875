"""No way of writing an address opens a door inward, and no text that is given as a URL is more than refused."""

import contextlib
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetingpool.domain.addresses import is_public, unmapped
from meetingpool.outward.errors import ForbiddenAddress
from meetingpool.outward.targets import EVERYTHING_ALLOWED, read_host_pattern, require_allowed
from meetingpool.outward.urls import Url

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
        read = require_allowed(url)

        assert read.address is None or is_public(read.address)
        require_read_by_all_the_same(url, read)
        # It can be sent, and is the same when it is read again.
        assert read.target.startswith("/")
        assert f"{read.host}{read.target}".isascii()
        assert " " not in read.target
        assert require_allowed(f"{read.scheme}://{read.authority}{read.target}") == read


def require_read_by_all_the_same(url: str, read: Url) -> None:
    """HTTPX, whose parser is another, would ask the same server for the same; urllib would ask the same server."""
    others = httpx.URL(url)
    assert (others.scheme, others.raw_path.decode(), others.userinfo) == (read.scheme, read.target, b"")
    assert (others.port or {"http": 80, "https": 443}[others.scheme]) == read.port
    assert is_the_same(others.raw_host.decode(), read)
    if url.isascii():
        assert is_the_same(urlsplit(url).hostname or "", read)
        assert urlsplit(url).port in (read.port, None)


def is_the_same(host: str, read: Url) -> bool:
    plain = host.removesuffix(".")
    return plain == read.host if read.address is None else unmapped(ip_address(plain)) == read.address


names = st.from_regex(r"([a-zA-Z0-9_]([a-zA-Z0-9_-]{0,9}[a-zA-Z0-9_])?\.){0,3}[a-zA-Z]{2,9}\.?", fullmatch=True)
international_names = st.sampled_from(
    ["b\xfccher.example", "B\xdcCHER.Example.", "\u4e2d\u56fd.icom.museum", "\u043f\u0440\u0438.\u0440\u0444"]
)
addresses = st.one_of(st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(lambda address: f"[{address}]"))
ports = st.one_of(st.just(""), st.sampled_from(["", "80", "443", "0443", "8080", "65535"]).map(":".__add__))
printable = st.one_of(st.characters(exclude_categories=["C", "Z"]), st.sampled_from(" %./"))
texts = st.text(printable).filter(str.isprintable)


@given(
    st.sampled_from(["http", "https", "HTTP", "hTTps"]),
    st.one_of(names, international_names, addresses),
    ports,
    texts.map(lambda text: "/" + text.replace("?", "").replace("#", "")) | st.just(""),
    texts.map(lambda text: "?" + text.replace("#", "")) | st.just(""),
    texts.map("#".__add__) | st.just(""),
)
def test_usual_urls_are_taken_and_requested_as_others_request_them(
    scheme: str, host: str, port: str, path: str, query: str, fragment: str
) -> None:
    url = f"{scheme}://{host}{port}{path}{query}{fragment}"
    read = require_allowed(url, EVERYTHING_ALLOWED)

    require_read_by_all_the_same(url, read)
    others = httpx.URL(url)
    if scheme.islower() and not host.endswith(".") and "::ffff:" not in host:
        assert read.authority == others.netloc.decode()


@given(st.text())
def test_text_is_a_host_pattern_or_is_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        pattern = read_host_pattern(text)

        assert read_host_pattern(pattern) == pattern
