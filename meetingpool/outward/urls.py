"""The one way in which we read a URL that others wrote: what is judged of it is what is called.

`targets.py` judges its parts, and `client.py` makes the request of the same parts; nobody reads the text again. What is taken is
what a browser and RFC 3986 read alike. Blanks and other characters that cannot stand in a request are encoded.
"""

import re
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from urllib.parse import quote

from meetingpool.domain.addresses import Address, unmapped
from meetingpool.outward.errors import ForbiddenAddress

MAX_URL_LENGTH = 8 * 1024

_DEFAULT_PORTS = {"http": 80, "https": 443}
_URL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://([^/?#]*)([^?#]*)(\?[^#]*)?(?:#.*)?")
_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::([0-9]{0,5}))?")
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
# A name that ends like this is an address in one of the ways of inet_aton: 127.1, 0x7f000001, 017700000001.
_NUMBER_AT_THE_END = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")
_MAX_HOST_LENGTH = 255
# Beside letters, digits and "-._~". A percent sign stays: what is encoded already is left as it is.
_SAFE_IN_PATH = "!$%&'()*+,/:;=@[\\]^|"
_SAFE_IN_QUERY = _SAFE_IN_PATH + "?`{}"


@dataclass(frozen=True, slots=True)
class Url:
    """The parts of a URL that matter for a request.

    `host` is in ASCII and lower case, without a dot at its end and without brackets. `target` is the path and the query, as they
    stand in a request.
    """

    scheme: str
    host: str
    port: int
    target: str = field(repr=False)

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def address(self) -> Address | None:
        """The host, if it is an address."""
        return address_in(self.host)


def read_url(text: str) -> Url:
    """The parts of a URL with http or https. Raises ForbiddenAddress for any other, and for what is none."""
    if len(text) > MAX_URL_LENGTH or not text.isprintable():
        raise ForbiddenAddress(f"a URL must be of at most {MAX_URL_LENGTH} printable characters")
    parts = _URL.fullmatch(text)
    if parts is None:
        raise ForbiddenAddress("the address is not a URL")
    scheme, authority, path, query = parts.groups(default="")
    scheme = scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        raise ForbiddenAddress("only URLs with http or https are called")
    if "@" in authority:
        raise ForbiddenAddress("a URL that holds a user name or password is not called")
    place = _AUTHORITY.fullmatch(authority)
    if place is None:
        raise ForbiddenAddress("the address is not a URL")
    host, port = place.groups(default="")
    target = (quote(_without_dots(path), safe=_SAFE_IN_PATH) or "/") + quote(query, safe=_SAFE_IN_QUERY)
    return Url(scheme, read_host(host), int(port or _DEFAULT_PORTS[scheme]), target)


def read_host(text: str) -> str:
    """`text` as hosts are compared, looked up and called: names in ASCII, addresses in their usual form, without brackets.

    Raises ForbiddenAddress for what is no host, or is an address in one of the ways of inet_aton.
    """
    with suppress(ValueError):
        if len(text) <= _MAX_HOST_LENGTH:
            host = _plain(text)
            if (address := address_in(host)) is not None:
                return str(address)
            if _NAME.fullmatch(host) and not _NUMBER_AT_THE_END.fullmatch(host):
                return host
    raise ForbiddenAddress("the URL's host is neither a name nor an address in its usual form")


def read_address(text: str) -> Address:
    """The address in `text`; the IPv4 address in `::ffff:…`. Raises ValueError for none, ForbiddenAddress for a link's own."""
    address = ip_address(text)
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise ForbiddenAddress("addresses of a single network interface are not called")
    return unmapped(address)


def address_in(host: str) -> Address | None:
    """The address in a host, or None for a name. Raises ForbiddenAddress as above."""
    try:
        return read_address(host)
    except ValueError:
        return None


def _plain(host: str) -> str:
    """`host` in ASCII and lower case. Raises ValueError."""
    if host.startswith("[") and host.endswith("]"):
        return str(IPv6Address(host[1:-1]))
    return (host if host.isascii() else _in_ascii(host)).lower().removesuffix(".")


def _in_ascii(host: str) -> str:
    # Its tables are large, and such names are few.
    import idna

    return idna.encode(host.lower()).decode("ascii")


def _without_dots(path: str) -> str:
    """`path` without the parts `.` and `..`. RFC 3986, 5.2.4; when one of them is the last, no slash is left behind it."""
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            # What stands before the first slash is nothing, and stays.
            del kept[max(1, len(kept) - 1) :]
        elif part != ".":
            kept.append(part)
    return "/".join(kept)
