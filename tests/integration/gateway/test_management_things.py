"""What the management API does to recordings, archives, tenants, callbacks, alerts and tokens, and what it tells."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from meetingpool.database.outbox import find_kept
from meetingpool.domain.recordings import RecordId
from meetingpool.operations.changes import changing
from tests.actors import SOMEBODY
from tests.management import DELETED, RECORDINGS, ManagedPool, refused
from tests.recordings import planted_recording, storage_of

# Recordings


async def test_recordings_are_listed_page_by_page(managed: ManagedPool) -> None:
    storage = storage_of(managed.pool.settings)
    for number in range(5):
        record_id = RecordId(f"{'c' * 40}-170000000{number}000")
        files = {"notes": {"notes.pdf": b"pdf"}}
        await planted_recording(
            managed.pool.database, storage, files, record_id=record_id, tenant="id-of-b", name=f"Lecture {number}"
        )
    found: list[str] = []
    cursor = None
    while True:
        query = {"tenant": "b", "search": "lecture", "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = await managed.done("GET", "/recordings", params=query)
        found += [recording["name"] for recording in page["items"]]
        if not (cursor := page["next"]):
            break
        assert len(page["items"]) == 2
    assert found == [f"Lecture {number}" for number in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, {"a", "b", "d"}),
        ({"tenant": "a"}, {"a", "d"}),
        ({"tenant": "nobody"}, set()),
        ({"state": "deleted"}, {"d"}),
        ({"state": "published", "protected": "true"}, set()),
        ({"meeting_id": "room", "search": "Of a"}, {"a"}),
        ({"meeting_id": "roo"}, set()),
        ({"search": "a" * 30}, {"a"}),
        ({"search": "%"}, set()),
    ],
)
async def test_recordings_are_looked_for(managed: ManagedPool, query: dict[str, str], found: set[str]) -> None:
    listed = (await managed.done("GET", "/recordings", params=query))["items"]
    assert {recording["record_id"][0] for recording in listed} == found


async def test_a_recording_is_shown_with_its_formats(managed: ManagedPool) -> None:
    recording = await managed.done("GET", f"/recordings/{RECORDINGS['a']}", "a")
    assert (recording["tenant"], recording["published"], recording["formats"]) == ("a", True, ["presentation"])
    assert recording["placed"][0]["location"] == "published"


async def test_a_recording_is_changed_deleted_and_restored(managed: ManagedPool) -> None:
    path = f"/recordings/{RECORDINGS['a']}"
    changed = await managed.done("PATCH", path, "a", json={"published": False, "protected": True})
    assert (changed["state"], changed["protected"], changed["settled"]) == ("unpublished", True, False)
    assert (await managed.done("DELETE", path, "a"))["state"] == "deleted"
    assert await refused(managed, "PATCH", path, json={"published": True}) == (409, "wrong_state")
    assert (await managed.done("POST", f"{path}/restore", "a"))["state"] == "processing"
    actions = [entry["action"] for entry in await managed.audit(subject=RECORDINGS["a"])]
    assert actions == ["recordings.restore", "recordings.delete", "recordings.protect", "recordings.unpublish"]


async def test_another_tenants_recording_is_not_there(managed: ManagedPool) -> None:
    path = f"/recordings/{RECORDINGS['b']}"
    for method, rest, body in (
        ("GET", "", None),
        ("PATCH", "", {"protected": True}),
        ("DELETE", "", None),
        ("POST", "/restore", None),
    ):
        assert await refused(managed, method, path + rest, "a", json=body) == (404, "no_such_recording")
    assert (await managed.done("GET", "/recordings", "a", params={"search": RECORDINGS["b"]}))["items"] == []
    assert await refused(managed, "GET", "/recordings", "a", params={"tenant": "b"}) == (404, "no_such_tenant")
    assert await refused(managed, "GET", "/recordings", "a", params={"tenant": "nobody"}) == (404, "no_such_tenant")


async def test_recordings_are_given_to_a_tenant(managed: ManagedPool) -> None:
    given = await managed.done("POST", "/recordings/assign", "operator", json={"tenant": "b", "record_ids": [RECORDINGS["a"]]})
    assert given == {"tenant": "b", "record_ids": [RECORDINGS["a"]]}
    assert await refused(managed, "GET", f"/recordings/{RECORDINGS['a']}", "a") == (404, "no_such_recording")
    wrong = {"tenant": "b", "record_ids": [DELETED]}
    assert await refused(managed, "POST", "/recordings/assign", json=wrong) == (409, "wrong_state")


# Archives


async def test_refused_archives_are_listed_tried_again_and_removed(managed: ManagedPool) -> None:
    (archive,) = (await managed.done("GET", "/quarantine"))["items"]
    assert (archive["archive"], archive["reason"], archive["detail"]) == ("bad.tar", "not_an_archive", "It is a letter")
    assert (await managed.done("GET", "/imports"))["items"] == []
    assert (await managed.done("POST", "/quarantine/1/retry", json={"tenant": "a", "force": True}))["id"] == 1
    assert [(each["archive"], each["state"]) for each in (await managed.done("GET", "/imports"))["items"]] == [
        ("bad.tar", "waiting")
    ]
    assert await refused(managed, "DELETE", "/quarantine/1") == (404, "no_such_archive")


async def test_a_refused_archive_is_removed_with_its_file(managed: ManagedPool) -> None:
    path = Path((await managed.done("GET", "/quarantine"))["items"][0]["path"])
    path.parent.mkdir(parents=True)
    path.write_bytes(b"a letter")
    await managed.done("DELETE", "/quarantine/1", params={"dry_run": "true"})
    assert path.exists()
    await managed.done("DELETE", "/quarantine/1")
    assert not path.exists()


# Tenants


async def test_a_tenant_gets_a_secret_that_is_shown_once(managed: ManagedPool) -> None:
    added = await managed.done("POST", "/tenants", json={"name": "School", "max_users": 10})
    assert (added["name"], added["max_users"], len(added["secrets"])) == ("school", 10, 1)
    assert "secrets" not in await managed.done("GET", "/tenants/school")
    assert "secrets" not in await managed.done("POST", "/tenants", json={"name": "other", "secrets": ["given"]})
    assert await refused(managed, "POST", "/tenants", json={"name": "school"}) == (409, "tenant_exists")


async def test_a_tenant_is_changed_and_what_is_null_is_taken_away(managed: ManagedPool) -> None:
    values: dict[str, Any] = {"max_meetings": 3, "server_tags": ["x"], "callback_hosts": ["*.example.org"], "region": "eu"}
    values["checksum_algorithms"] = ["sha256"]
    lrs = {"endpoint": "https://lrs.example", "username": "u", "password": "canary of lrs"}
    changed = await managed.done("PATCH", "/tenants/a", json={**values, "lrs": lrs})
    assert {name: changed[name] for name in values} == values
    assert (changed["lrs_endpoint"], changed["lrs_username"]) == ("https://lrs.example", "u")
    assert "canary" not in str(changed)
    assert (await managed.done("GET", "/tenants/a/secrets"))["lrs"] == {"password": "canary of lrs"}
    changed = await managed.done("PATCH", "/tenants/a", json=dict.fromkeys([*values, "lrs"]))
    assert [changed[name] for name in values] == [None] * 5
    assert await refused(managed, "PATCH", "/tenants/a", json={"region": "e u"}) == (422, "invalid_region")
    assert changed["lrs_endpoint"] is None
    assert "canary" not in str(await managed.audit())


async def test_secrets_of_a_tenant_come_and_go(managed: ManagedPool) -> None:
    async def secrets_after(change: dict[str, object]) -> list[str]:
        await managed.done("PATCH", "/tenants/a", json={"secrets": change})
        return list((await managed.done("GET", "/tenants/a/secrets"))["secrets"])

    assert await secrets_after({"added": ["second"]}) == ["secret of a", "second"]
    assert await secrets_after({"added": ["first"], "added_first": True, "removed": [1]}) == ["first", "second"]
    assert await secrets_after({"replacement": ["only"]}) == ["only"]
    assert await refused(managed, "PATCH", "/tenants/a", json={"secrets": {"removed": [1]}}) == (422, "invalid_tenant")
    assert "first" not in str(await managed.audit())


async def test_a_tenant_whose_meetings_run_is_not_removed(managed: ManagedPool) -> None:
    assert await refused(managed, "DELETE", "/tenants/a") == (409, "tenant_in_use")


async def test_rules_of_a_tenant_are_set_and_removed(managed: ManagedPool) -> None:
    (rule,) = (await managed.done("GET", "/tenants/a/rules", "a"))["items"]
    assert (rule["rule"], rule["operator"], rule["value"]) == ("duration<90", "cap", "90")
    again = await managed.done("POST", "/tenants/a/rules", json={"call": "create", "rule": "duration<60"})
    assert (again["id"], again["value"]) == (rule["id"], "60")
    parts = {"call": "join", "operator": "override", "name": "role", "value": "VIEWER"}
    assert (await managed.done("POST", "/tenants/a/rules", json=parts))["rule"] == "role=VIEWER"
    await managed.done("DELETE", f"/tenants/a/rules/{rule['id']}")
    assert await refused(managed, "DELETE", f"/tenants/a/rules/{rule['id']}") == (404, "no_such_rule")
    for wrong in ({"call": "end", "rule": "a=b"}, {"call": "join"}, {"call": "join", "rule": "a=b", "operator": "cap"}):
        assert (await managed.ask("POST", "/tenants/a/rules", json=wrong)).status_code == 422


# Callbacks, alerts, tokens


async def test_callbacks_are_listed_page_by_page_and_tried_again(managed: ManagedPool) -> None:
    page = await managed.done("GET", "/callbacks", params={"limit": 1, "state": "given_up"})
    assert [(each["tenant"], each["host"], each["last_error"]) for each in page["items"]] == [
        ("a", "lms.example", "no connection")
    ]
    following = await managed.done("GET", "/callbacks", params={"cursor": page["next"], "state": "given_up"})
    assert ([each["tenant"] for each in following["items"]], following["next"]) == (["b"], None)
    (of_b,) = (each["id"] for each in following["items"])
    assert await refused(managed, "POST", f"/callbacks/{of_b}/retry", "a") == (404, "no_such_callback")
    retried = await managed.done("POST", "/callbacks/retry", "a")
    assert [each["tenant"] for each in retried["items"]] == ["a"]
    async with managed.pool.database.transaction() as connection:
        states = {each.tenant: str(each.state) for each in await find_kept(connection, [1, of_b])}
    assert states == {"id-of-a": "pending", "id-of-b": "given_up"}


async def test_addresses_for_alerts_come_and_go(managed: ManagedPool) -> None:
    added = await managed.done("POST", "/alerts/hooks", json={"url": "https://other.example/k", "kinds": ["server.offline"]})
    assert (added["host"], added["kinds"]) == ("other.example", ["server.offline"])
    assert len(added["secret"]) >= 16
    assert "secret" not in (await managed.done("GET", "/alerts/hooks"))["items"][1]
    assert (await managed.done("GET", "/alerts"))["items"] == []
    assert (await managed.done("DELETE", f"/alerts/hooks/{added['id']}"))["id"] == added["id"]
    assert await refused(managed, "POST", f"/alerts/hooks/{added['id']}/test") == (404, "no_such_hook")


async def test_a_token_is_shown_once_and_counts_until_it_is_revoked(managed: ManagedPool) -> None:
    before = datetime.now(UTC)
    made = await managed.done("POST", "/tokens", json={"name": "ansible", "role": "operator", "expires_in": "90d"})
    expires_at = datetime.fromisoformat(made["expires_at"])
    assert before + timedelta(days=90, seconds=-1) <= expires_at <= datetime.now(UTC) + timedelta(days=90)
    assert (await managed.done("GET", "/whoami", made["token"]))["name"] == "ansible"
    listed = (await managed.done("GET", "/tokens"))["items"]
    assert made["token"] not in str(listed)
    assert next(token for token in listed if token["name"] == "ansible")["last_used_at"]
    assert (await managed.done("DELETE", "/tokens/ansible"))["revoked_at"]
    assert (await managed.ask("GET", "/whoami", made["token"])).status_code == 401
    assert await refused(managed, "POST", "/tokens", json={"name": "ansible", "role": "admin"}) == (409, "token_exists")


@pytest.mark.parametrize(
    "token",
    [
        {"name": "n", "role": "tenant-admin"},
        {"name": "n", "role": "admin", "tenant": "a"},
        {"name": "n", "role": "tenant-admin", "tenant": "nobody"},
        {"name": "n", "role": "admin", "expires_in": "soon"},
        {"name": "n", "role": "admin", "expires_in": "0d"},
        {"name": "n", "role": "admin", "expires_in": "999999d"},
        {"name": " ", "role": "admin"},
        {"name": "a\\nb", "role": "king"},
    ],
)
async def test_a_token_that_makes_no_sense_is_refused(managed: ManagedPool, token: dict[str, str]) -> None:
    assert (await managed.ask("POST", "/tokens", json=token)).status_code == 422


# Watching


async def test_the_status_says_the_pool_in_figures(managed: ManagedPool) -> None:
    status = await managed.done("GET", "/status")
    assert (status["servers"], status["open_servers"], status["by_admin_state"]["disabled"]) == (4, 3, 1)
    assert (status["quarantined"], status["callbacks_given_up"]) == (1, 2)


async def test_the_audit_is_read_by_pages_and_filters(managed: ManagedPool) -> None:
    for verb in ("enable", "cordon", "disable"):
        await managed.done("POST", f"/servers/spare/{verb}")
    page = await managed.done("GET", "/audit", params={"limit": 2, "subject": "spare"})
    assert [entry["action"] for entry in page["items"]] == ["servers.disable", "servers.cordon"]
    rest = await managed.done("GET", "/audit", params={"cursor": page["next"], "subject": "spare"})
    assert [entry["action"] for entry in rest["items"]] == ["servers.enable", "servers.add"]
    assert [entry["action"] for entry in await managed.audit(action="servers.cordon")] == ["servers.cordon"]
    assert {entry["action"] for entry in await managed.audit(action="tokens")} == {"tokens.create"}
    assert await managed.audit(since="2100-01-01T00:00:00Z") == []
    assert await refused(managed, "GET", "/audit", params={"since": "yesterday"}) == (422, "invalid_period")


async def test_a_tenants_administrator_sees_what_was_done_to_the_tenant(managed: ManagedPool) -> None:
    await managed.done("PATCH", "/tenants/a", json={"max_users": 5})
    await managed.done("PATCH", "/tenants/b", json={"max_users": 6})
    entries = (await managed.done("GET", "/audit", "a"))["items"]
    assert {entry["tenant"] for entry in entries} == {"a"}
    assert entries[0]["action"] == "tenants.set"


async def test_usage_is_told_by_what_is_asked(managed: ManagedPool) -> None:
    async with changing(managed.pool.database, SOMEBODY) as change:
        for tenant, server in (("id-of-a", ""), ("id-of-b", ""), ("id-of-a", "spare"), ("", "spare"), ("", "")):
            await change.connection.execute(
                "INSERT INTO usage_hours VALUES ('2026-07-01 08:00+00', $1, $2, 600, 6000, 2, 20)", tenant, server
            )
    period = {"from": "2026-07-01", "to": "2026-07-02"}
    by_tenant = await managed.done("GET", "/usage", params=period)
    assert sorted((each["tenant"], each["person_minutes"]) for each in by_tenant["items"]) == [("a", 100.0), ("b", 100.0)]
    (day,) = (await managed.done("GET", "/usage", "a", params={**period, "by": "day"}))["items"]
    assert (day["day"], day["meeting_minutes"], day["peak_people"]) == ("2026-07-01", 10.0, 20)
    assert len((await managed.done("GET", "/usage", params={**period, "by": "server"}))["items"]) == 1
    for query in ({"by": "server"}, {"server": "spare"}):
        assert await refused(managed, "GET", "/usage", "a", params=query) == (403, "permission_missing")
    for query in ({"from": "then"}, {"timezone": "Nowhere/At_all"}, {"from": "2026-07-02", "to": "2026-07-01"}):
        assert await refused(managed, "GET", "/usage", params=query) == (422, "invalid_period")
