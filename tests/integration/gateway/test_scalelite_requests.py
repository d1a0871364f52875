"""Who is heard by Scalelite's management API, and what is said to a request that is wrong."""

import httpx
import pytest

from tests.faults.test_callbacks import closed_to_all
from tests.integration.gateway.test_scalelite_api import NEW, says
from tests.pool import SECRET, RunningPool, key_of, read, running_pool
from tests.scalelite import ADDRESS, Manager


@pytest.fixture
async def manager(pool: RunningPool) -> Manager:
    return Manager((await pool.front_end()).http)


async def test_all_algorithms_and_secrets_of_the_settings_are_accepted_and_no_tenants(database_url: str) -> None:
    async with running_pool(database_url, loadbalancer_secrets="second:third", multitenancy_enabled="true") as pool:
        http = (await pool.front_end()).http
        for secret in (SECRET, "second", "third"):
            for algorithm in ("sha1", "sha256", "sha384", "sha512"):
                assert len(await Manager(http, secret=secret, algorithm=algorithm).servers()) == 3
        tenant = {"name": "school", "secrets": "secret-of-school"}
        assert (await Manager(http).post("addTenant", {"tenant": tenant})).status_code == 201
        for secret in ("secret-of-school", "wrong", ""):
            assert key_of(read(await Manager(http, secret=secret).get("getServers"))) == "checksumError"


async def test_an_algorithm_that_the_settings_exclude_is_refused(database_url: str) -> None:
    async with running_pool(database_url, loadbalancer_checksum_algorithm="SHA512") as pool:
        http = (await pool.front_end()).http
        assert key_of(read(await Manager(http, algorithm="sha256").get("getServers"))) == "checksumError"
        assert len(await Manager(http, algorithm="sha512").servers()) == 3


async def test_what_is_wrong_with_a_request_is_told_as_the_bbb_api_tells_it(manager: Manager) -> None:
    http, add = manager.http, manager.url("addServer")
    form = await http.post(add, data={"url": "https://bbb.example.org", "secret": "s"})
    assert key_of(read(form)) == "unsupportedContentType"
    # Before the checksum is looked at.
    unsigned = await http.post(f"{ADDRESS}/addServer", content=b"{}", headers={"content-type": "text/plain"})
    assert key_of(read(unsigned)) == "unsupportedContentType"
    for answer in (
        await http.get(manager.url("addServer")),
        await http.post(manager.url("getServers")),
        await http.delete(manager.url("deleteServer")),
        await http.get(manager.url("getServer")),
        await http.get(f"{ADDRESS}/"),
    ):
        assert key_of(read(answer)) == "unsupportedRequest"
    assert key_of(read(await http.get(f"{ADDRESS}/getServers"))) == "checksumError"
    assert key_of(read(await http.get(manager.url("getServers") + "&id=other"))) == "checksumError"
    assert len((await http.get(manager.url("getServers").replace("/getServers", "//getServers/"))).json()) == 3


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b'{"id": "a", "id": "b"}', 400), (b"\xff", 400), (b'"text"', 400), (b'{"id": "%s"}' % (b"a" * 70_000), 413)],
)
async def test_a_body_that_cannot_be_read_is_refused(manager: Manager, body: bytes, status: int) -> None:
    answer = await manager.http.post(manager.url("deleteServer"), content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.content) == (status, b"")


async def test_addresses_with_many_wrong_checksums_are_told_to_wait(pool: RunningPool, manager: Manager) -> None:
    limit = pool.settings.failed_checksums_per_minute
    stranger = Manager(manager.http, secret="guessed")
    answers = [await stranger.post("panicServer", {"id": pool.fleet.servers[0].name}) for _ in range(limit + 1)]
    assert [answer.status_code for answer in answers] == [200] * limit + [429]
    assert key_of(read(answers[0])) == "checksumError"
    assert len(await manager.servers()) == 3


async def test_the_api_can_be_switched_off(database_url: str) -> None:
    async with running_pool(database_url, scalelite_api="false") as pool:
        manager = Manager((await pool.front_end()).http)
        assert key_of(read(await manager.get("getServers"))) == "unsupportedRequest"
        assert key_of(read(await manager.post("addServer", {"server": NEW}))) == "unsupportedRequest"
        assert len(await pool.servers()) == 3


async def test_it_may_be_called_from_the_networks_of_the_settings_only(database_url: str) -> None:
    async with running_pool(database_url, management_networks="192.0.2.0/24") as pool:
        gateway = (await pool.front_end()).gateway
        statuses = []
        for address in ("192.0.2.7", "198.51.100.7"):
            transport = httpx.ASGITransport(pool.application(gateway), client=(address, 4711))
            async with httpx.AsyncClient(transport=transport) as http:
                statuses.append((await Manager(http).get("getServers")).status_code)
        assert statuses == [200, 403]


async def test_without_a_database_it_says_to_come_again(pool: RunningPool, database_url: str, manager: Manager) -> None:
    async with closed_to_all(database_url):
        answer = await manager.get("getServers")
        assert says(answer)[0] == 503
        assert int(answer.headers["retry-after"]) > 0
    assert len(await manager.servers()) == 3


async def test_whether_a_call_works_can_be_asked_without_its_answer(manager: Manager) -> None:
    kinds = [(await manager.http.head(manager.url(call))).headers["content-type"] for call in ("getServers", "addServer")]
    assert kinds == ["application/json; charset=utf-8", "text/xml;charset=utf-8"]
