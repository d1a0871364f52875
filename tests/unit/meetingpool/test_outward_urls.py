"""How a URL that others wrote is read, and what is no URL for us although it is one for somebody."""

import pytest

from meetingpool.outward.errors import ForbiddenAddress
from meetingpool.outward.urls import Url, read_host, read_url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://a.example", Url("http", "a.example", 80, "/")),
        ("https://a.example?", Url("https", "a.example", 443, "/?")),
        ("https://a.example?b=c", Url("https", "a.example", 443, "/?b=c")),
        ("https://a.example#/b", Url("https", "a.example", 443, "/")),
        ("HTTPS://A.Example.:/B", Url("https", "a.example", 443, "/B")),
        ("http://a.example:443/", Url("http", "a.example", 443, "/")),
        ("http://a.example:08080/", Url("http", "a.example", 8080, "/")),
        ("http://[2001:DB8:0::1]:8080/", Url("http", "2001:db8::1", 8080, "/")),
        ("http://[::ffff:8.8.8.8]/", Url("http", "8.8.8.8", 80, "/")),
        ("http://8\u30028\u30028\u30028/", Url("http", "8.8.8.8", 80, "/")),
        ("http://B\xdcCHER.example/", Url("http", "xn--bcher-kva.example", 80, "/")),
        ("http://a/b c/\xe4?d e=\xf6", Url("http", "a", 80, "/b%20c/%C3%A4?d%20e=%C3%B6")),
        ("http://a/%2f%C3%a4%zz%?%41=%", Url("http", "a", 80, "/%2f%C3%a4%zz%?%41=%")),
        ('http://a/`{}<>"|^\\[]?`{}<>"|^\\[]??', Url("http", "a", 80, "/%60%7B%7D%3C%3E%22|^\\[]?`{}%3C%3E%22|^\\[]??")),
        ("http://a/b/./c/../d", Url("http", "a", 80, "/b/d")),
        ("http://a/../../b/..", Url("http", "a", 80, "/")),
        ("http://a//b/%2e%2e/...", Url("http", "a", 80, "//b/%2e%2e/...")),
        ("http://a/@b:c", Url("http", "a", 80, "/@b:c")),
        ("http://a?../b/..", Url("http", "a", 80, "/?../b/..")),
    ],
)
def test_url_is_read_in_its_parts(text: str, url: Url) -> None:
    assert read_url(text) == url


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://a.example:80/", "a.example"),
        ("HTTP://a.example:80/", "a.example"),
        ("https://a.example:80/", "a.example:80"),
        ("https://a.example.:443/", "a.example"),
        ("http://[0::1]:8080/", "[::1]:8080"),
        ("http://[0::1]/", "[::1]"),
    ],
)
def test_authority_names_the_port_where_it_is_not_the_usual(url: str, authority: str) -> None:
    assert read_url(url).authority == authority


@pytest.mark.parametrize(
    "text",
    [
        " http://a/",
        "http://a /",
        "http ://a/",
        "http:a",
        "http:/a",
        "http:\\\\a/",
        "http://",
        "http:///",
        "http://:80/",
        "http://@a/",
        "http://a@/",
        "http://a\\@b/",
        "http://a\\b/",
        "http://a%2eb/",
        "http://a..b/",
        "http://.a/",
        "http://./",
        f"http://{'a' * 64}/",
        f"http://{'a.' * 127}a/",
        f"http://{chr(0xFC) * 300}/",
        "http://\xfc_b/",
        "http://a:b/",
        "http://a:8 0/",
        "http://a:+80/",
        "http://a:8_0/",
        "http://a:\uff18\uff10/",
        "http://a:000080/",
        "http://a:80:80/",
        "http://::1/",
        "http://[::1/",
        "http://::1]/",
        "http://[::1]80/",
        "http://[::1]a/",
        "http://[[::1]]/",
        "http://[]/",
        "http://[8.8.8.8]/",
        "http://[a.example]/",
        "http://[v1.a]/",
        "http://[::1%a]/",
        "http://[::1%\uff0e]/",
        "http://a[b]/",
        "http://a\u2100b/",
        "http://a\uff0fb/",
        "http://a\u200db/",
        "http://a\xadb/",
        "http://a/\xa0",
        "http://a/\ud800",
        "http://a/\ue000",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ForbiddenAddress):
        read_url(text)


@pytest.mark.parametrize("text", ["", ".", "a b", "a/b", "a?b", "a#b", "a@b", "a:80", "[::1", "127.1", "0x7f.1", "1", "a.0"])
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(ForbiddenAddress):
        read_host(text)
