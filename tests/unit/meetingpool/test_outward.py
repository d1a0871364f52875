"""What reaches whom through the guarded client: over real sockets on the loopback, which the guard lets nobody reach unasked."""

import socket
from collections.abc import AsyncIterator

import pytest

from meetingpool.outward.client import MAX_ADDRESSES_TRIED, Outward, OutwardRequest
from meetingpool.outward.errors import ForbiddenAddress, NotDelivered
from meetingpool.outward.targets import AllowList, read_host_pattern, require_allowed
from meetingpool.outward.urls import MAX_URL_LENGTH
from tests.unit.meetingpool.receivers import Receiver, receiving, replying, saying
from tests.unit.meetingpool.sending import Names, post, reply_of, send

# Every one leads to the canary on 127.0.0.1, to another address that is nobody's business, or nowhere.
FORBIDDEN = [
    "http://127.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.1:{port}/",
    "http://0X7F.0.0.1:{port}/",
    "http://2130706433:{port}/",
    "http://017700000001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://127.0.0.01:{port}/",
    "http://127.0.0.0x1:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://127.0.0.1%00:{port}/",
    "http://127%2e0%2e0%2e1:{port}/",
    "http://127\u30020\u30020\u30021:{port}/",
    "http://\uff11\uff12\uff17.0.0.1:{port}/",
    "http://\u2460\u2461\u2466.0.0.1:{port}/",
    "http://127.0.0.2:{port}/",
    "http://127.255.255.254:{port}/",
    "http://0.0.0.0:{port}/",
    "http://0:{port}/",
    "http://[::]:{port}/",
    "http://[::1]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://[64:ff9b:1::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[2001:0:7f00:1::]:{port}/",
    "http://[fe80::1%25lo]:{port}/",
    "http://[::1%25lo]:{port}/",
    "http://[fd00:ec2::254]:{port}/",
    "http://[ff02::1]:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::ffff:169.254.169.254]/",
    "http://168.63.129.16/",
    "http://10.0.0.1/",
    "http://172.31.255.255/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://callback.example:{port}/",
    "http://CALLBACK.example.:{port}/",
    "http://private.example/",
    "http://metadata.example/",
    "http://half-private.example:{port}/",
    "http://public-and-private.example:{port}/",
    "http://mapped.example:{port}/",
    "http://loopback6.example:{port}/",
    "http://unspecified.example:{port}/",
    "http://scoped.example:{port}/",
    "http://user@127.0.0.1:{port}/",
    "http://user:password@callback.example:{port}/",
    "http://callback.example@127.0.0.1:{port}/",
    "http://callback.example:80\\@127.0.0.1:{port}/",
    "http://callback.example\\.127.0.0.1:{port}/",
    "http://127.0.0.1:{port}#@callback.example/",
    "http://127.0.0.1:{port}\\@callback.example/",
    "http://callback.example:{port}/\r\nHost: other",
    "http://callback.example:{port}/\x00",
    "http://callback.example:{port}/\u2028",
    "http://127.0.0.1\t:{port}/",
    "http:/127.0.0.1:{port}/",
    "http:127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/_GET",
    "ftp://127.0.0.1:{port}/",
    "ws://127.0.0.1:{port}/",
    "unix:///run/postgresql",
    "javascript:alert(1)",
    "",
]


@pytest.fixture
async def canary() -> AsyncIterator[Receiver]:
    async with receiving() as canary:
        yield canary


@pytest.mark.parametrize("form", FORBIDDEN)
async def test_canary_inside_is_not_reached(form: str, canary: Receiver) -> None:
    with pytest.raises(ForbiddenAddress):
        await send(form.replace("{port}", str(canary.port)), allowed=[])

    assert canary.connections == 0


async def test_callback_to_what_the_administrator_allows_arrives_as_it_was_made() -> None:
    async with receiving(replying(b"thanks", status="202 Accepted")) as receiver:
        url = f"http://callback.example:{receiver.port}/a/b?token=x%2Fy&empty=&n=1#fragment"
        reply = await send(post(url, body=b"signed_parameters=a.b.c", headers=(("Content-Type", "text/plain"),)))

    assert (reply.status, reply.body) == (202, b"thanks")
    assert receiver.requests[0].startswith(b"POST /a/b?token=x%2Fy&empty=&n=1 HTTP/1.1\r\n")
    assert receiver.requests[0].endswith(b"\r\n\r\nsigned_parameters=a.b.c")
    assert receiver.header("Host") == f"callback.example:{receiver.port}"
    assert receiver.header("Content-Type") == "text/plain"
    assert receiver.header("User-Agent") == "Meetingpool"
    assert receiver.header("Accept-Encoding") == "identity"


async def test_get_has_no_body(canary: Receiver) -> None:
    await send(OutwardRequest(method="GET", url=f"http://callback.example:{canary.port}"))

    assert canary.requests[0].startswith(b"GET / HTTP/1.1\r\n")
    assert canary.header("Content-Length") is None


async def test_headers_replace_those_that_are_usual_but_not_those_that_guard(canary: Receiver) -> None:
    headers = (("user-agent", "BigBlueButton Analytics Callback"), ("host", "other.example"), ("accept-encoding", "gzip"))
    await send(post(f"http://callback.example:{canary.port}/", headers=headers))

    assert canary.header("User-Agent") == "BigBlueButton Analytics Callback"
    assert canary.header("Host") == f"callback.example:{canary.port}"
    assert canary.header("Accept-Encoding") == "identity"
    assert canary.requests[0].lower().count(b"host:") == 1


@pytest.mark.parametrize(
    "allowed",
    [
        ["127.0.0.0/8"],
        ["127.0.0.1"],
        ["callback.example"],
        ["*.example"],
        ["CALLBACK.example."],
        ["10.0.0.0/8", "::/0", "127.0.0.1"],
    ],
)
async def test_administrator_allows_networks_and_names(allowed: list[str], canary: Receiver) -> None:
    assert (await send(f"http://callback.example:{canary.port}/", allowed=allowed)).status == 200


@pytest.mark.parametrize("allowed", [[], ["10.0.0.0/8"], ["other.example"], ["*.callback.example"], ["back.example"], ["::/0"]])
async def test_what_is_allowed_allows_nothing_else(allowed: list[str], canary: Receiver) -> None:
    with pytest.raises(ForbiddenAddress):
        await send(f"http://callback.example:{canary.port}/", allowed=allowed)

    assert canary.connections == 0


@pytest.mark.parametrize(
    "entry", ["", "*", "*.", "*.*.example", "*.10.0.0.1", "10.0.0.1/8", "a.example/8", "a.example:80", "u@a", "a b", "127.1"]
)
def test_allow_list_that_says_nothing_clear_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        AllowList.read([entry])


async def test_address_of_an_administrator_may_be_inside_and_must_keep_the_other_rules(canary: Receiver) -> None:
    url = f"http://callback.example:{canary.port}/"

    assert (await send(post(url, is_from_administrator=True), allowed=[])).status == 200
    with pytest.raises(ForbiddenAddress):
        await send(post(url.replace("callback", "user@callback"), is_from_administrator=True), allowed=[])


@pytest.mark.parametrize(
    "only_hosts", [["callback.example"], ["*.example"], ["CallBack.EXAMPLE"], ["broken/pattern", "callback.example."]]
)
async def test_tenants_own_hosts_are_called(only_hosts: list[str], canary: Receiver) -> None:
    assert (await send(post(f"http://callback.example:{canary.port}/", only_hosts=only_hosts))).status == 200


@pytest.mark.parametrize(
    "only_hosts", [[], ["other.example"], ["*.callback.example"], ["callback"], ["127.0.0.1"], ["broken/pattern"], ["*"]]
)
async def test_other_hosts_than_a_tenants_own_are_not_called(only_hosts: list[str], canary: Receiver) -> None:
    names = Names()
    with pytest.raises(ForbiddenAddress):
        await send(post(f"http://callback.example:{canary.port}/", only_hosts=only_hosts), resolve=names)

    assert (canary.connections, names.asked) == (0, [])


async def test_tenants_own_hosts_are_not_thereby_allowed(canary: Receiver) -> None:
    with pytest.raises(ForbiddenAddress):
        await send(post(f"http://callback.example:{canary.port}/", only_hosts=["callback.example"]), allowed=[])


async def test_name_is_looked_up_once_and_the_checked_address_is_called() -> None:
    names = Names(rebinding_example=[["127.0.0.2"], ["127.0.0.1"], ["127.0.0.1"]])
    async with receiving(host="127.0.0.2") as receiver, receiving(port=receiver.port) as canary:
        await send(f"http://rebinding.example:{receiver.port}/", allowed=["127.0.0.2/32"], resolve=names)

    assert (receiver.connections, canary.connections, names.asked) == (1, 0, ["rebinding.example"])


async def test_one_address_that_is_not_allowed_refuses_the_others() -> None:
    names = Names(two_example=[["127.0.0.2", "127.0.0.1"]])
    async with receiving(host="127.0.0.2") as receiver:
        with pytest.raises(ForbiddenAddress):
            await send(f"http://two.example:{receiver.port}/", allowed=["127.0.0.2/32"], resolve=names)

    assert receiver.connections == 0


async def test_next_address_is_called_when_nobody_listens_at_the_first() -> None:
    names = Names(two_example=[["127.0.0.3", "127.0.0.3", "127.0.0.2"]])
    async with receiving(host="127.0.0.2") as receiver:
        reply = await send(f"http://two.example:{receiver.port}/", resolve=names)

    assert (reply.status, receiver.connections) == (200, 1)


async def test_name_with_endless_addresses_is_given_up() -> None:
    names = Names(many_example=[[f"127.0.1.{number}" for number in range(1, 200)]])
    async with receiving(host=f"127.0.1.{MAX_ADDRESSES_TRIED + 1}") as receiver:
        with pytest.raises(NotDelivered, match="no connection: Connection refused"):
            await send(f"http://many.example:{receiver.port}/", resolve=names)

    assert receiver.connections == 0


async def test_request_that_arrived_is_not_sent_to_the_next_address() -> None:
    names = Names(two_example=[["127.0.0.1", "127.0.0.2"]])
    async with receiving(saying(b"")) as first, receiving(host="127.0.0.2", port=first.port) as second:
        with pytest.raises(NotDelivered, match="the connection broke"):
            await send(f"http://two.example:{first.port}/", resolve=names)

    assert (first.connections, second.connections) == (1, 0)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_proxies_of_the_environment_are_not_used(variable: str, canary: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, f"http://127.0.0.1:{canary.port}")

    assert (await reply_of(replying())).status == 200
    assert canary.connections == 0


async def test_international_name_is_called_by_its_ascii_form(canary: Receiver) -> None:
    names = Names()
    await send(f"http://B\xfccher.example:{canary.port}/", resolve=names, allowed=["b\xfccher.example"])

    assert names.asked == ["xn--bcher-kva.example"]
    assert canary.header("Host") == f"xn--bcher-kva.example:{canary.port}"


async def test_address_is_called_without_a_look_up(canary: Receiver) -> None:
    names = Names()
    await send(f"http://127.0.0.1:{canary.port}/", resolve=names)

    assert (canary.connections, names.asked, canary.header("Host")) == (1, [], f"127.0.0.1:{canary.port}")


async def test_address_of_version_6_is_called() -> None:
    try:
        async with receiving(host="::1") as receiver:
            await send(f"http://[0:0::1]:{receiver.port}/", allowed=["::1"])
    except OSError:
        pytest.skip("this machine has no IPv6 on its loopback")

    assert receiver.header("Host") == f"[::1]:{receiver.port}"


async def test_system_is_asked_for_names_unless_another_way_is_given(canary: Receiver) -> None:
    async with Outward(allowed=["localhost"]) as outward:
        assert (await outward.send(post(f"http://localhost:{canary.port}/"))).status == 200
    async with Outward() as outward:
        with pytest.raises(ForbiddenAddress):
            await outward.send(post(f"http://localhost:{canary.port}/"))
        with pytest.raises(NotDelivered, match="looked up"):
            await outward.send(post("http://no-such-name.invalid/"))

    assert canary.connections == 1


async def test_name_that_stands_for_nothing_may_be_tried_again() -> None:
    async def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(NotDelivered, match="could not be looked up: Name or service not known"):
        await send("http://callback.example/", resolve=unknown)
    with pytest.raises(NotDelivered, match="stands for no address"):
        await send("http://nothing.example/")


@pytest.mark.parametrize("port", [80, 443, 1024, 8443, 65535])
def test_ports_of_the_web_and_of_applications_are_called(port: int) -> None:
    assert require_allowed(f"https://callback.example:{port}/").port == port


@pytest.mark.parametrize("port", [0, 1, 22, 25, 53, 389, 445, 631, 1023, 65536, 99999, -1])
def test_ports_of_other_services_are_not_called(port: int) -> None:
    with pytest.raises(ForbiddenAddress):
        require_allowed(f"http://callback.example:{port}/")


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://lms.example.org/callback?a=b", "lms.example.org", 443),
        ("http://LMS.example.org", "lms.example.org", 80),
        ("http://lms.example.org.:8080/", "lms.example.org", 8080),
        ("https://8.8.8.8/", "8.8.8.8", 443),
        ("https://[2606:4700::1111]/", "2606:4700::1111", 443),
        ("https://[::ffff:8.8.8.8]/", "8.8.8.8", 443),
        ("https://[64:ff9b::808:808]/", "64:ff9b::808:808", 443),
        ("https://under_score.example/", "under_score.example", 443),
        ("https://1.example/", "1.example", 443),
        ("https://x.example/a path?with=blanks and \xfc&b=[1]", "x.example", 443),
    ],
)
def test_usual_urls_are_taken(url: str, host: str, port: int) -> None:
    target = require_allowed(url)

    assert (target.host, target.port) == (host, port)


def test_url_of_unusual_length_is_refused() -> None:
    beginning = "http://callback.example/?"
    require_allowed(beginning + "a" * (MAX_URL_LENGTH - len(beginning)))

    with pytest.raises(ForbiddenAddress):
        require_allowed(beginning + "a" * (MAX_URL_LENGTH - len(beginning) + 1))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("LMS.example.org.", "lms.example.org"),
        (" *.b\xfccher.example ", "*.xn--bcher-kva.example"),
        ("[::1]", "::1"),
        ("0:0::1", "::1"),
    ],
)
def test_host_patterns_are_read_as_hosts_are_compared(written: str, read: str) -> None:
    assert read_host_pattern(written) == read
