"""Where a request goes: read from a URL once, and kept by the client for as long as it asks there."""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Origin:
    """One web server, as connections are made to it. `host` is a name in ASCII or an address."""

    is_secure: bool
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Target:
    """`authority` as the Host header names it, `path` as the request line does, without a query."""

    origin: Origin
    authority: str
    path: str


def read_target(url: str) -> Target:
    """The target of `url`, which has no query. Raises ValueError unless it is the URL of a web server."""
    if not url.isprintable() or " " in url:
        # Some of these would be taken out without a word.
        raise ValueError("not a URL")
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or "@" in parts.netloc or not is_visible(parts.path):
        raise ValueError("not the URL of a web server")
    host = _host(parts.hostname or "")
    default_port = _DEFAULT_PORTS[parts.scheme]
    port = default_port if parts.port is None else parts.port
    name = f"[{host}]" if ":" in host else host
    return Target(
        origin=Origin(parts.scheme == "https", host, port),
        authority=name if port == default_port else f"{name}:{port}",
        path=parts.path or "/",
    )


def is_visible(text: str) -> bool:
    """Whether `text` can stand in a request line: visible ASCII, so no blank and no end of a line."""
    return text.isascii() and text.isprintable() and " " not in text


def _host(name: str) -> str:
    if ":" in name:
        return str(IPv6Address(name))
    # The codec refuses empty labels and long ones.
    host = name.encode("idna").decode().lower()
    if not _HOST_NAME.fullmatch(host):
        raise ValueError("not a host name")
    return host
