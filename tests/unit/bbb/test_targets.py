import pytest

from meetingpool.bbb.targets import Origin, Target, read_target


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://host", Target(Origin(False, "host", 80), "host", "/")),
        ("http://host:80/", Target(Origin(False, "host", 80), "host", "/")),
        ("http://host:/", Target(Origin(False, "host", 80), "host", "/")),
        ("https://host/a/b", Target(Origin(True, "host", 443), "host", "/a/b")),
        ("https://host:80/a", Target(Origin(True, "host", 80), "host:80", "/a")),
        ("HTTP://Host.Example:8080/A/b%20c", Target(Origin(False, "host.example", 8080), "host.example:8080", "/A/b%20c")),
        ("http://my_host.example./", Target(Origin(False, "my_host.example.", 80), "my_host.example.", "/")),
        ("http://192.0.2.1/a", Target(Origin(False, "192.0.2.1", 80), "192.0.2.1", "/a")),
        ("http://[2001:DB8:0::1]:8080/a", Target(Origin(False, "2001:db8::1", 8080), "[2001:db8::1]:8080", "/a")),
        ("https://bücher.example/a", Target(Origin(True, "xn--bcher-kva.example", 443), "xn--bcher-kva.example", "/a")),
    ],
)
def test_target_is_read_from_a_url(url: str, target: Target) -> None:
    assert read_target(url) == target


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host/a",
        "//host/a",
        "http:/host",
        "http://",
        "http:///a",
        "ftp://host/a",
        "file:///etc/passwd",
        "http://user@host/a",
        "http://user:password@host/a",
        "http://host:99999/a",
        "http://host:port/a",
        "http://two..dots/a",
        "http://.host/a",
        "http://./a",
        f"http://{'a' * 64}.example/a",
        "http://no such host/a",
        "http://ho\tst/a",
        "http://host\r\n/a",
        "http://host\\@other/a",
        "http://[::1/a",
        "http://[no-address]/a",
        "http://host/a b",
        "http://host/a\r\nX-Injected: 1",
        "http://host/a\nb",
        "http://host/a\tb",
        "http://host/\x00",
        "http://host/ä",
        " http://host/a",
    ],
)
def test_anything_else_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_target(url)
