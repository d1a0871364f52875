"""What holds for every endpoint of the management API: how it is asked, how it refuses, and what it leaves behind."""

from pathlib import Path

import httpx
import pytest

from gateway.management_api.endpoints import ENDPOINTS
from meetingpool.database.engine import Database
from meetingpool.database.servers import delete_server
from meetingpool.domain.servers import ServerId
from tests.logs import Event
from tests.management import RECORDINGS, ROOT, ManagedPool, managed_pool


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal, which has the form of all."""
    document = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert document["status"] == answer.status_code
    assert document["type"] == f"urn:meetingpool:problem:{document['code']}"
    assert document["title"]
    assert document["detail"]
    return answer.status_code, document["code"]


async def test_without_a_token_it_says_what_to_send(managed: ManagedPool) -> None:
    answer = await managed.ask("GET", "/servers", "")
    assert problem(answer) == (401, "token_needed")
    assert answer.headers["www-authenticate"] == 'Bearer realm="Meetingpool"'
    assert "meetingpool tokens create" in answer.json()["detail"]


async def test_a_token_that_does_not_count_is_told_so(managed: ManagedPool) -> None:
    answer = await managed.ask("GET", "/servers", "revoked")
    assert problem(answer) == (401, "token_refused")
    assert answer.headers["www-authenticate"] == 'Bearer realm="Meetingpool", error="invalid_token"'


async def test_a_token_counts_in_the_header_only(managed: ManagedPool) -> None:
    token = managed.tokens["admin"]
    elsewhere = [
        {"params": {"access_token": token}},
        {"params": {"token": token}},
        {"headers": {"cookie": f"token={token}"}},
        {"headers": {"authorization": f"Basic {token}"}},
        {"headers": {"authorization": token}},
        {"headers": {"x-api-key": token}},
    ]
    for request in elsewhere:
        assert problem(await managed.ask("GET", "/servers", "", **request)) == (401, "token_needed")


async def test_the_name_of_the_scheme_is_written_in_any_case(managed: ManagedPool) -> None:
    answer = await managed.ask("GET", "/whoami", "", headers={"authorization": f"bearer {managed.tokens['auditor']}"})
    assert answer.json()["name"] == "auditor"


async def test_who_asks_is_told_who_that_is(managed: ManagedPool) -> None:
    caller = await managed.done("GET", "/whoami", "a")
    assert (caller["name"], caller["role"], caller["tenant"]) == ("of a", "tenant-admin", "a")
    assert "end_meetings" in caller["permissions"]
    assert "read_pool" not in caller["permissions"]


async def test_a_token_of_a_tenant_that_was_removed_counts_no_more(managed: ManagedPool) -> None:
    made = await managed.done("POST", "/tokens", json={"name": "of c", "role": "tenant-admin", "tenant": "c"})
    assert (await managed.ask("GET", "/whoami", made["token"])).status_code == 200
    await managed.done("DELETE", "/tenants/c")
    assert problem(await managed.ask("GET", "/whoami", made["token"])) == (401, "token_refused")
    # One with the same id is another tenant.
    await managed.done("POST", "/tenants", json={"name": "c", "id": "id-of-c"})
    assert problem(await managed.ask("GET", "/whoami", made["token"])) == (401, "token_refused")


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
async def test_a_method_is_not_overridden(managed: ManagedPool, header: str) -> None:
    answer = await managed.ask("POST", "/servers/spare/enable", headers={header: "DELETE"}, params={"_method": "DELETE"})
    assert problem(answer) == (422, "invalid")
    await managed.done("POST", "/servers/spare/enable", headers={header: "DELETE"})
    assert (await managed.done("GET", "/servers/spare"))["admin_state"] == "enabled"


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "TRACE", "PROPFIND", "DELETE"])
async def test_other_methods_are_named(managed: ManagedPool, method: str) -> None:
    answer = await managed.ask(method, "/servers")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


@pytest.mark.parametrize("path", ["/", "/nothing", "/servers/", "/servers//enable", "/servers/spare/enable/", "/servers/%ff"])
async def test_what_is_not_there_is_not_found(managed: ManagedPool, path: str) -> None:
    assert problem(await managed.ask("POST", path)) == (404, "not_found")


@pytest.mark.parametrize(
    "address", ["/api/v1", "/api/v10/servers", "/api/v1servers", "/api/v%31/servers", "/api/v1/%0A", "/api/v1/a%0Ab"]
)
async def test_an_address_is_spelled_in_one_way(managed: ManagedPool, address: str) -> None:
    headers = {"authorization": f"Bearer {managed.tokens['admin']}"}
    assert problem(await managed.http.get(f"http://gateway{address}", headers=headers)) == (404, "not_found")


async def test_ids_may_hold_any_character(managed: ManagedPool) -> None:
    answer = await managed.ask("GET", "/meetings/a%2Fb%20%C3%BC%3F")
    assert problem(answer) == (404, "no_such_meeting")
    assert "id: a/b ü?;" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "kind", "refusal"),
    [
        (b"{", "application/json", (400, "malformed_json")),
        (b'{"url": "\xff"}', "application/json", (400, "malformed_json")),
        (b'{"url": "\\ud800"}', "application/json", (400, "malformed_json")),
        (b"[" * 100_000, "application/json", (422, "invalid")),
        (b'{"url": "http://h"}', "application/json", (422, "invalid")),
        (b'{"url": "http://h", "secret": "s\\u0000"}', "application/json", (422, "invalid")),
        (b'{"url": "ftp://h", "secret": "s"}', "application/json", (422, "invalid_server")),
        (
            b'{"url": "http://h", "secret": "s", "load_multiplier": -1}',
            "application/json; charset=UTF-8",
            (422, "invalid_server"),
        ),
        (b"url=http://h&secret=s", "application/x-www-form-urlencoded", (415, "json_needed")),
        (b'{"url": "http://h", "secret": "s"}', "text/plain", (415, "json_needed")),
        (b'{"url": "http://h", "secret": "s"}', "application/json; charset=latin-1", (415, "json_needed")),
        (b" " * (1024 * 1024 + 1), "application/json", (413, "body_too_long")),
    ],
    ids=range(12),
)
async def test_a_body_that_cannot_be_used_is_refused(
    managed: ManagedPool, body: bytes, kind: str, refusal: tuple[int, str]
) -> None:
    answer = await managed.ask("POST", "/servers", content=body, headers={"content-type": kind})
    assert problem(answer) == refusal


async def test_a_compressed_body_is_refused(managed: ManagedPool) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert problem(await managed.ask("POST", "/servers", content=b"x", headers=headers)) == (415, "json_needed")


async def test_a_field_that_is_wrong_or_unknown_is_named(managed: ManagedPool) -> None:
    wrong = {
        "colour": {"url": "http://h", "secret": "s", "colour": "red"},
        "secret": {"url": "http://h"},
        "tags[1]": {"url": "http://h", "secret": "s", "tags": ["a", 1]},
    }
    for field, body in wrong.items():
        answer = await managed.ask("POST", "/servers", json=body)
        assert (problem(answer), answer.json()["field"]) == ((422, "invalid"), field)
        assert field in answer.json()["detail"]
    answer = await managed.ask("POST", "/servers/spare/enable", json={"now": True})
    assert (problem(answer), answer.json()["field"]) == ((422, "invalid"), "now")


@pytest.mark.parametrize(
    "query", ["colour=red", "limit=0", "limit=x", "limit=1&limit=2", "cursor=x", "state=%00", "state=%ff", "search=%00"]
)
async def test_a_query_that_cannot_be_used_is_refused(managed: ManagedPool, query: str) -> None:
    assert problem(await managed.ask("GET", f"/recordings?{query}")) == (422, "invalid")


async def test_a_change_leaves_an_entry_that_says_who_and_from_where(managed: ManagedPool) -> None:
    await managed.done("POST", "/servers/spare/cordon", "operator", headers={"x-request-id": "request-7"})
    entry = (await managed.audit())[0]
    assert entry | {"id": 0, "at": ""} == {
        "id": 0,
        "at": "",
        "actor_kind": "token",
        "actor": "operator",
        "address": "127.0.0.1",
        "request_id": "request-7",
        "action": "servers.cordon",
        "subject": "spare",
        "tenant": None,
        "before": {"admin_state": "disabled"},
        "after": {"admin_state": "cordoned"},
    }


CHANGES: dict[tuple[str, str], dict[str, object] | None] = {
    ("POST", "/servers"): {"url": "http://127.0.0.1:10", "secret": "s", "id": "new", "enable": True},
    ("PATCH", "/servers/spare"): {"region": "north", "secret": "another"},
    ("DELETE", "/servers/spare"): None,
    ("POST", "/servers/spare/enable"): None,
    ("POST", "/servers/spare/cordon"): None,
    ("POST", "/servers/spare/disable"): None,
    ("POST", "/servers/spare/panic"): None,
    ("POST", "/servers/spare/poll"): None,
    ("POST", "/meetings/end"): {"all": True},
    ("DELETE", "/meetings/room?tenant=a"): None,
    ("POST", "/recordings/assign"): {"tenant": "b", "record_ids": [RECORDINGS["a"]]},
    ("PATCH", f"/recordings/{RECORDINGS['a']}"): {"published": False, "protected": True},
    ("DELETE", f"/recordings/{RECORDINGS['a']}"): None,
    ("POST", "/quarantine/retry"): None,
    ("POST", "/quarantine/1/retry"): {"force": True},
    ("DELETE", "/quarantine/1"): None,
    ("POST", "/tenants"): {"name": "d"},
    ("PATCH", "/tenants/a"): {"name": "aa", "secrets": {"added": ["one more"]}},
    ("DELETE", "/tenants/c"): None,
    ("POST", "/tenants/a/rules"): {"call": "join", "operator": "override", "name": "role", "value": "VIEWER"},
    ("DELETE", "/tenants/a/rules/1"): None,
    ("POST", "/callbacks/retry"): None,
    ("POST", "/callbacks/1/retry"): None,
    ("POST", "/alerts/hooks"): {"url": "https://other.example/hook"},
    ("POST", "/tokens"): {"name": "new", "role": "auditor"},
    ("DELETE", "/tokens/auditor"): None,
}

_ROWS = "SELECT (to_jsonb(t) - 'last_used_at')::text AS text FROM {table} t ORDER BY 1"
_TABLES = (
    "servers",
    "meetings",
    "recordings",
    "imports",
    "tenants",
    "tenant_rules",
    "outbox",
    "alert_hooks",
    "api_tokens",
    "audit",
)


async def contents(database: Database) -> dict[str, list[str]]:
    """All rows, without what their use leaves behind."""
    async with database.transaction() as connection:
        return {
            table: [
                row["text"]
                for row in await connection.fetch(
                    f"SELECT (to_jsonb(t) - 'last_used_at')::text AS text FROM {table} t ORDER BY 1"  # noqa: S608
                )
            ]
            for table in _TABLES
        }


async def test_a_dry_run_answers_and_changes_nothing(managed: ManagedPool) -> None:
    before = await contents(managed.pool.database)
    for (method, path), body in CHANGES.items():
        separator = "&" if "?" in path else "?"
        answer = await managed.ask(method, f"{path}{separator}dry_run=true", json=body)
        assert answer.status_code == 200, (method, path, answer.text)
    assert await contents(managed.pool.database) == before


async def test_nothing_that_was_made_in_a_dry_run_is_shown(managed: ManagedPool) -> None:
    dry = {"dry_run": "true"}
    assert (await managed.done("POST", "/tokens", json={"name": "n", "role": "admin"}, params=dry))["token"] is None
    assert "secrets" not in await managed.done("POST", "/tenants", json={"name": "d"}, params=dry)
    hook = await managed.done("POST", "/alerts/hooks", json={"url": "https://other.example/hook"}, params=dry)
    assert hook["secret"] is None


async def test_every_change_is_kept_in_the_audit(managed: ManagedPool) -> None:
    for (method, path), body in CHANGES.items():
        last = (await managed.audit(limit=1))[0]["id"]
        answer = await managed.ask(method, path, json=body)
        if path == "/servers/spare/poll":
            continue
        if answer.status_code in (200, 201):
            # What was panicked is not ended again, and so on: then nothing was changed.
            newer = [entry for entry in await managed.audit() if entry["id"] > last]
            assert [entry["actor"] for entry in newer] == ["admin"] * len(newer)
            assert newer or answer.json() in ({"items": [], "next": None}, {"ended": [], "not_ended": []}), (method, path)
        else:
            assert problem(answer)[0] in (404, 409, 502), (method, path, answer.text)
            assert (await managed.audit(limit=1))[0]["id"] == last


async def test_no_answer_holds_a_secret(managed: ManagedPool) -> None:
    for endpoint in ENDPOINTS:
        if endpoint.method != "GET" or "{" in endpoint.path or endpoint.path == "/events":
            continue
        assert "canary" not in (await managed.ask("GET", endpoint.path)).text
    for path in ("/servers/spare", "/tenants/a", f"/recordings/{RECORDINGS['a']}", "/tenants/a/rules"):
        answer = await managed.ask("GET", path)
        assert answer.status_code == 200
        assert "canary" not in answer.text
        assert "secret of a" not in answer.text


async def test_who_sends_wrong_tokens_waits(managed: ManagedPool, logged: list[Event]) -> None:
    for _ in range(10):
        assert problem(await managed.ask("GET", "/servers", "mp_wrong")) == (401, "token_refused")
    answer = await managed.ask("GET", "/servers", "mp_wrong")
    assert problem(answer) == (429, "too_many_wrong_tokens")
    assert 0 < int(answer.headers["retry-after"]) <= 60
    # Before it was seen here, a right one waits as well; it cannot be told from a guess without looking.
    assert problem(await managed.ask("GET", "/servers", "operator"))[0] == 429
    assert [event["event"] for event in logged if "tokens" in event["event"]] == ["management_tokens_refused"]
    assert "mp_wrong" not in str(logged)


async def test_a_token_that_was_right_lately_is_not_kept_waiting(managed: ManagedPool) -> None:
    await managed.done("GET", "/servers")
    for _ in range(12):
        await managed.ask("GET", "/servers", "mp_wrong")
    await managed.done("GET", "/servers")


async def test_who_is_outside_of_the_networks_gets_nothing(database_url: str, tmp_path: Path) -> None:
    async with managed_pool(database_url, tmp_path, management_networks="10.1.0.0/16,fd00::/8") as managed:
        for path in ("/servers", "/openapi.json"):
            assert problem(await managed.ask("GET", path)) == (403, "address_refused")
        for host, status in (("10.1.2.3", 200), ("::ffff:10.1.2.3", 200), ("fd00::1", 200), ("10.2.0.1", 403), ("unknown", 403)):
            inside = httpx.ASGITransport(managed.pool.application(managed.gateway), client=(host, 1))
            async with httpx.AsyncClient(transport=inside) as client:
                headers = {"authorization": f"Bearer {managed.tokens['admin']}"}
                assert (await client.get(f"{ROOT}/servers", headers=headers)).status_code == status


async def test_it_can_be_switched_off(database_url: str, tmp_path: Path) -> None:
    async with managed_pool(database_url, tmp_path, management_api=False) as managed:
        assert problem(await managed.ask("GET", "/servers")) == (404, "not_found")


async def test_while_the_database_is_away_it_says_so(managed: ManagedPool) -> None:
    await managed.done("GET", "/servers")
    await managed.gateway.management_database.close()
    answer = await managed.ask("GET", "/servers")
    assert problem(answer) == (503, "database_unavailable")
    assert answer.headers["retry-after"]


async def test_calls_of_front_ends_wait_for_no_administrator(managed: ManagedPool) -> None:
    """All connections of the management API are taken, and those of calls are as free as before."""
    own = managed.gateway.management_database
    async with own.transaction(), own.transaction(), own.transaction():
        assert managed.gateway.database.callers == 0
        assert (await managed.http.get("http://gateway/readyz")).json() == {"status": "ready"}
        async with managed.gateway.database.transaction() as connection:
            assert await connection.fetchval("SELECT 1") == 1


async def test_a_defect_is_told_without_its_cause(managed: ManagedPool, logged: list[Event]) -> None:
    async with managed.pool.database.transaction() as connection:
        await connection.execute("ALTER TABLE tenant_rules RENAME COLUMN operator TO canary_column")
    answer = await managed.ask("GET", "/tenants")
    assert problem(answer) == (500, "unexpected_error")
    assert "canary" not in answer.text
    assert "unexpected_error" in [event["event"] for event in logged]


async def test_a_removed_server_is_gone_for_everybody(managed: ManagedPool) -> None:
    async with managed.pool.database.transaction() as connection:
        await delete_server(connection, ServerId("spare"))
    assert problem(await managed.ask("GET", "/servers/spare")) == (404, "no_such_server")
