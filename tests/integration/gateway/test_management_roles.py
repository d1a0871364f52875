"""Who may do what with the management API: every role is asked for everything, and every answer is written down here."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.management_api.endpoints import ENDPOINTS
from tests.databases import cloned_database
from tests.management import DELETED, RECORDINGS, ManagedPool, managed_pool

OF_A = RECORDINGS["a"]

# Who gets what: those who are named are answered, all other roles are refused (403). `a` owns what is asked for and `b` does not:
# `A` says that a is answered and b is told that it is not there (404), `AB` that both are answered.
READERS = "admin operator auditor"
CHANGERS = "admin operator"
EXPECTED: dict[tuple[str, str], str] = {
    ("GET", "/whoami"): f"{READERS} server AB",
    ("GET", "/status"): READERS,
    ("GET", "/capacity"): READERS,
    ("GET", "/servers"): READERS,
    ("POST", "/servers"): "admin",
    ("GET", "/servers/{server}"): READERS,
    ("PATCH", "/servers/{server}"): CHANGERS,
    ("DELETE", "/servers/{server}"): "admin",
    ("POST", "/servers/{server}/enable"): CHANGERS,
    ("POST", "/servers/{server}/cordon"): CHANGERS,
    ("POST", "/servers/{server}/disable"): CHANGERS,
    ("POST", "/servers/{server}/panic"): CHANGERS,
    ("POST", "/servers/{server}/poll"): CHANGERS,
    ("GET", "/servers/{server}/samples"): READERS,
    ("GET", "/servers/{server}/secret"): "admin",
    ("POST", "/registrations"): "server",
    ("DELETE", "/registrations/{server}"): "server",
    ("GET", "/meetings"): f"{READERS} AB",
    ("POST", "/meetings/end"): f"{CHANGERS} A",
    ("GET", "/meetings/{meeting}"): f"{READERS} A",
    ("GET", "/meetings/{meeting}/why"): READERS,
    ("DELETE", "/meetings/{meeting}"): f"{CHANGERS} A",
    ("GET", "/recordings"): f"{READERS} AB",
    ("POST", "/recordings/assign"): CHANGERS,
    ("GET", "/recordings/{recording}"): f"{READERS} A",
    ("PATCH", "/recordings/{recording}"): f"{CHANGERS} A",
    ("DELETE", "/recordings/{recording}"): f"{CHANGERS} A",
    ("POST", "/recordings/{recording}/restore"): f"{CHANGERS} A",
    ("GET", "/imports"): READERS,
    ("GET", "/quarantine"): READERS,
    ("POST", "/quarantine/retry"): CHANGERS,
    ("POST", "/quarantine/{archive}/retry"): CHANGERS,
    ("DELETE", "/quarantine/{archive}"): CHANGERS,
    ("GET", "/tenants"): f"{READERS} AB",
    ("POST", "/tenants"): "admin",
    ("GET", "/tenants/{tenant}"): f"{READERS} A",
    ("PATCH", "/tenants/{tenant}"): "admin",
    ("DELETE", "/tenants/{tenant}"): "admin",
    ("GET", "/tenants/{tenant}/secrets"): "admin",
    ("GET", "/tenants/{tenant}/rules"): f"{READERS} A",
    ("POST", "/tenants/{tenant}/rules"): "admin",
    ("DELETE", "/tenants/{tenant}/rules/{rule}"): "admin",
    ("GET", "/callbacks"): f"{READERS} AB",
    ("POST", "/callbacks/retry"): f"{CHANGERS} A",
    ("POST", "/callbacks/{callback}/retry"): f"{CHANGERS} A",
    ("GET", "/usage"): f"{READERS} AB",
    ("GET", "/audit"): f"{READERS} AB",
    ("GET", "/alerts"): READERS,
    ("GET", "/alerts/hooks"): READERS,
    ("POST", "/alerts/hooks"): "admin",
    ("DELETE", "/alerts/hooks/{hook}"): "admin",
    ("POST", "/alerts/hooks/{hook}/test"): "admin",
    ("GET", "/tokens"): "admin auditor",
    ("POST", "/tokens"): "admin",
    ("DELETE", "/tokens/{token}"): "admin",
}

STREAM = ("GET", "/events")
PARTS = {
    "server": "spare",
    "meeting": "room",
    "recording": OF_A,
    "archive": "1",
    "tenant": "a",
    "rule": "1",
    "callback": "1",
    "token": "auditor",
}
REGISTERED = {"url": "https://bbb.example.org", "secret": "s", "id": "registered"}
# Where another thing is asked for: one of which that can be done.
OTHER_PARTS: dict[tuple[str, str], dict[str, str]] = {
    ("POST", "/recordings/{recording}/restore"): {"recording": DELETED},
    ("DELETE", "/tenants/{tenant}"): {"tenant": "c"},
    ("DELETE", "/registrations/{server}"): {"server": REGISTERED["id"]},
}
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/registrations"): REGISTERED,
    ("POST", "/servers"): {"url": "http://127.0.0.1:10", "secret": "s"},
    ("PATCH", "/servers/{server}"): {"load_multiplier": 2.0},
    ("POST", "/meetings/end"): {"ids": ["room"], "tenant": "a"},
    ("POST", "/recordings/assign"): {"tenant": "b", "record_ids": [OF_A]},
    ("PATCH", "/recordings/{recording}"): {"published": False},
    ("POST", "/tenants"): {"name": "d"},
    ("PATCH", "/tenants/{tenant}"): {"max_users": 10},
    ("POST", "/tenants/{tenant}/rules"): {"call": "create", "rule": "record=false"},
    ("POST", "/callbacks/retry"): {"ids": [1]},
    ("POST", "/alerts/hooks"): {"url": "https://other.example/hook"},
    ("POST", "/tokens"): {"name": "new", "role": "auditor"},
}
# Several tenants have a meeting of this id.
_ONE_MEETING = (("GET", "/meetings/{meeting}"), ("GET", "/meetings/{meeting}/why"), ("DELETE", "/meetings/{meeting}"))
QUERIES = {endpoint: {"tenant": "a"} for endpoint in _ONE_MEETING}
STRANGERS = ["", "expired", "revoked", "secret of a", "front-end-secret", "mp_" + "x" * 43]


class Asking:
    """A pool that is managed, for tests that are no coroutines."""

    def __init__(self, runner: asyncio.Runner, managed: ManagedPool) -> None:
        self.managed = managed
        self._runner = runner

    def status(self, endpoint: tuple[str, str], token: str) -> tuple[int, dict[str, Any]]:
        return self._runner.run(self._ask(endpoint, token))

    async def _ask(self, endpoint: tuple[str, str], token: str) -> tuple[int, dict[str, Any]]:
        method, path = endpoint
        hooks = (await self.managed.done("GET", "/alerts/hooks"))["items"]
        parts = PARTS | {"hook": hooks[0]["id"]} | OTHER_PARTS.get(endpoint, {})
        query = {**QUERIES.get(endpoint, {}), **({"dry_run": "true"} if method != "GET" else {})}
        answer = await self.managed.ask(method, path.format(**parts), token, json=BODIES.get(endpoint), params=query)
        return answer.status_code, answer.json()


@pytest.fixture(scope="module")
def asking(template_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        managed = runner.run(_opened(stack, template_url, tmp_path_factory.mktemp("managed")))
        try:
            yield Asking(runner, managed)
        finally:
            runner.run(stack.aclose())


async def _opened(stack: AsyncExitStack, template_url: str, directory: Path) -> ManagedPool:
    url = await stack.enter_async_context(cloned_database(template_url))
    managed = await stack.enter_async_context(managed_pool(url, directory, failed_checksums_per_minute=1_000_000))
    await managed.done("POST", "/registrations", "server", json=REGISTERED)
    return managed


def expected(endpoint: tuple[str, str], caller: str) -> int:
    allowed = EXPECTED[endpoint].split()
    if caller in ("a", "b"):
        return 200 if "AB" in allowed or ("A" in allowed and caller == "a") else 404 if "A" in allowed else 403
    return 200 if caller in allowed else 403


def test_every_endpoint_is_in_the_table() -> None:
    assert {(each.method, each.path) for each in ENDPOINTS} == EXPECTED.keys() | {STREAM}


@pytest.mark.parametrize("caller", ["admin", "operator", "auditor", "server", "a", "b"])
@pytest.mark.parametrize("endpoint", EXPECTED, ids=" ".join)
def test_roles_may_do_what_the_table_says(asking: Asking, endpoint: tuple[str, str], caller: str) -> None:
    status, answer = asking.status(endpoint, caller)
    assert (status, answer.get("detail")) == (expected(endpoint, caller), answer.get("detail"))
    if status == 403:
        needed = next(each.permission for each in ENDPOINTS if (each.method, each.path) == endpoint)
        assert (answer["code"], answer["permission"]) == ("permission_missing", needed)
        assert str(needed) in answer["detail"]


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("endpoint", [*EXPECTED, STREAM], ids=" ".join)
def test_who_has_no_token_that_counts_is_nobody(asking: Asking, endpoint: tuple[str, str], stranger: str) -> None:
    status, answer = asking.status(endpoint, stranger)
    assert (status, answer["code"]) == (401, "token_refused" if stranger else "token_needed")
