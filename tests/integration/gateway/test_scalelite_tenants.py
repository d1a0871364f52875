"""Tenants by Scalelite's management API."""

from collections.abc import AsyncIterator

import pytest

from meetingpool.bbb.client import signed_url
from meetingpool.database.audit import find_audit
from meetingpool.database.tenants import update_tenant
from tests.integration.gateway.test_pool_view import until
from tests.integration.gateway.test_scalelite_api import says
from tests.pool import RunningPool, read, running_pool, succeeded
from tests.scalelite import Manager

SCHOOL = "http://gateway/t/school/bigbluebutton/api"


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[RunningPool]:
    async with running_pool(database_url, multitenancy_enabled="true") as pool:
        yield pool


@pytest.fixture
async def manager(pool: RunningPool) -> Manager:
    return Manager((await pool.front_end()).http)


async def add(manager: Manager, name: str = "school", secrets: str = "first:second") -> str:
    """Adds a tenant. Returns its id."""
    answer = await manager.post("addTenant", {"tenant": {"name": name, "secrets": secrets}})
    return str(answer.json()["tenant"]["id"])


@pytest.mark.parametrize("call", ["addTenant", "updateTenant", "deleteTenant"])
async def test_without_tenants_the_calls_about_them_say_so(database_url: str, call: str) -> None:
    async with running_pool(database_url, servers=0) as pool:
        manager = Manager((await pool.front_end()).http)
        disabled = (412, {"message": "Multitenancy is disabled"})
        assert says(await manager.post(call, {"id": "x", "tenant": {"name": "a", "secrets": "b"}})) == disabled
        assert says(await manager.get("getTenants")) == disabled
        assert says(await manager.get("getTenantInfo", id="x")) == disabled


async def test_tenants_are_added_shown_and_listed(manager: Manager) -> None:
    assert says(await manager.get("getTenants")) == (200, {"message": "No tenants exist"})
    status, told = says(await manager.post("addTenant", {"tenant": {"name": "school", "secrets": "first:second"}}))
    assert status == 201
    assert isinstance(told, dict)
    tenant = told["tenant"]
    assert tenant == {
        "name": "school",
        "secrets": "first:second",
        "new_record": False,
        "destroyed": False,
        "id": tenant["id"],
    }
    assert says(await manager.get("getTenantInfo", id=tenant["id"])) == (200, tenant)
    listed = [{"id": tenant["id"], "name": "school", "secrets": "first:second"}]
    assert says(await manager.get("getTenants")) == (200, listed)


async def test_a_tenant_needs_a_name_and_a_secret(manager: Manager) -> None:
    for tenant in ({"name": "school"}, {"secrets": "s"}, {"name": " ", "secrets": "s"}, {"name": "school", "secrets": ":"}):
        answer = await manager.post("addTenant", {"tenant": tenant})
        assert says(answer) == (400, {"message": "Error: both name and secrets are required to create a Tenant"})


@pytest.mark.parametrize(
    ("name", "sentence"), [("school", "There is a tenant with"), ("a b", "A tenant's name is a label"), ("default", "No tenant")]
)
async def test_a_tenant_that_cannot_be_is_refused_with_a_sentence(manager: Manager, name: str, sentence: str) -> None:
    await add(manager)
    answer = await manager.post("addTenant", {"tenant": {"name": name, "secrets": "s"}})
    assert says(answer)[0] == 422
    assert answer.json()["error"].startswith(sentence)
    assert len((await manager.get("getTenants")).json()) == 1


async def test_a_tenant_is_changed_in_what_is_given(manager: Manager) -> None:
    tenant_id = await add(manager)
    renamed = await manager.post("updateTenant", {"id": tenant_id, "tenant": {"name": "college", "secrets": ""}})
    assert renamed.status_code == 200
    assert (renamed.json()["tenant"]["name"], renamed.json()["tenant"]["secrets"]) == ("college", "first:second")
    flat = await manager.post("updateTenant", {"id": tenant_id, "secrets": "third"})
    assert (flat.json()["tenant"]["name"], flat.json()["tenant"]["secrets"]) == ("college", "third")
    await add(manager)
    taken = await manager.post("updateTenant", {"id": tenant_id, "tenant": {"name": "school"}})
    assert says(taken)[0] == 422
    missing = read(await manager.post("updateTenant", {"id": tenant_id, "tenant": {}}))
    assert missing.findtext("message") == "param is missing or the value is empty: tenant"


async def test_a_tenant_is_deleted_when_none_of_its_meetings_run(pool: RunningPool) -> None:
    front_end = await pool.front_end()
    manager = Manager(front_end.http)
    tenant_id = await add(manager)
    await until(lambda: front_end.gateway.tenants.named("school") is not None)
    meeting = [("meetingID", "room"), ("name", "A room")]
    assert succeeded(read(await front_end.http.get(signed_url(SCHOOL, "first", "create", meeting))))
    refused = await manager.post("deleteTenant", {"id": tenant_id})
    assert says(refused)[0] == 422
    assert "its meetings run (room)" in refused.json()["error"]
    assert succeeded(read(await front_end.http.get(signed_url(SCHOOL, "second", "end", meeting[:1]))))
    destroyed = {"success": f"Tenant id={tenant_id} was destroyed"}
    assert says(await manager.post("deleteTenant", {"id": tenant_id})) == (200, destroyed)
    gone = (404, {"error": f"Couldn't find Tenant with id={tenant_id}"})
    assert says(await manager.post("deleteTenant", {"id": tenant_id})) == gone
    assert says(await manager.post("updateTenant", {"id": tenant_id, "tenant": {"name": "x"}})) == gone
    assert says(await manager.get("getTenantInfo", id=tenant_id)) == gone


async def test_where_learning_records_go_is_named_as_scalelite_names_it(pool: RunningPool, manager: Manager) -> None:
    tenant_id = await add(manager)
    lrs = {
        "endpoint": "https://lrs.example.org",
        "token_url": "https://keycloak.example.org/token",
        "client_id": "client",
        "client_secret": "client-secret",
        "token_username": "user",
        "token_password": "password",
    }
    async with pool.database.transaction() as connection:
        await update_tenant(connection, tenant_id, {"lrs": lrs})
    told = (await manager.get("getTenantInfo", id=tenant_id)).json()
    assert {name: value for name, value in told.items() if name[:3] in ("lrs", "kc_")} == {
        "lrs_endpoint": "https://lrs.example.org",
        "kc_token_url": "https://keycloak.example.org/token",
        "kc_client_id": "client",
        "kc_client_secret": "client-secret",
        "kc_username": "user",
        "kc_password": "password",
    }


async def test_changes_of_tenants_are_in_the_audit(pool: RunningPool, manager: Manager) -> None:
    tenant_id = await add(manager, secrets="canary")
    await manager.post("updateTenant", {"id": tenant_id, "tenant": {"secrets": "canary-2"}})
    await manager.get("getTenants")
    await manager.post("deleteTenant", {"id": tenant_id})
    async with pool.database.transaction() as connection:
        entries = (await find_audit(connection))[::-1]
    assert [(entry.action, entry.subject) for entry in entries] == [
        ("tenants.add", tenant_id),
        ("tenants.set", tenant_id),
        ("tenants.show_secret", tenant_id),
        ("tenants.show_secret", "all"),
        ("tenants.remove", tenant_id),
    ]
    assert {entry.actor.kind for entry in entries} == {"scalelite_api"}
    assert "canary" not in str([(entry.before, entry.after) for entry in entries])
