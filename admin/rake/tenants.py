"""The tasks `tenants…` and `recordings:addToTenant`."""

from typing import Any

from admin.connection import changing, note_shown
from admin.rake.calls import Call, fail
from meetingpool.database.tenants import all_tenants
from meetingpool.domain.tenants import LrsAccess, Tenant
from meetingpool.operations.administer_recordings import assign_recordings
from meetingpool.operations.change_tenant import (
    SecretChange,
    add_tenant,
    change_tenant,
    checked_values,
    new_tenant,
    remove_tenant,
)

_NO_NAME = "Error: both name and secrets are required to create a Tenant"


async def list_tenants(call: Call) -> None:
    """Shows the secrets, as it always did; the audit keeps that."""
    await note_shown(call.database, "tenants.show_secret", "all")
    async with call.database.transaction() as connection:
        tenants = await all_tenants(connection)
    for tenant in tenants:
        print(f"id: {tenant.id}")
        for name, value in _shown(tenant).items():
            print(f"\t{name}: {value}")
    print(f"Total number of tenants: {len(tenants)}")


async def add(call: Call) -> None:
    name, secrets = call.said("name"), call.said("secrets")
    if name is None or secrets is None:
        fail(_NO_NAME)
    tenant = new_tenant(name, secrets.split(":"), {})
    async with changing(call.database, dry_run=False) as change:
        await add_tenant(change, tenant)
    print(f"OK\nNew Tenant id: {tenant.id}")


async def update(call: Call) -> None:
    name, secrets = call.said("name"), call.said("secrets")
    values = checked_values(name=name)
    await _change(call, values, SecretChange(replacement=secrets.split(":") if secrets else ()))


async def update_lrs_basic(call: Call) -> None:
    lrs = LrsAccess(
        endpoint=call.required("lrs_endpoint"),
        username=call.required("lrs_username"),
        password=call.required("lrs_password"),
    )
    await _change(call, checked_values(lrs=lrs), SecretChange())


async def update_lrs_kc(call: Call) -> None:
    lrs = LrsAccess(
        endpoint=call.required("lrs_endpoint"),
        token_url=call.required("kc_token_url"),
        client_id=call.required("kc_client_id"),
        client_secret=call.required("kc_client_secret"),
        token_username=call.required("kc_username"),
        token_password=call.required("kc_password"),
    )
    await _change(call, checked_values(lrs=lrs), SecretChange())


async def remove(call: Call) -> None:
    """Unlike in Scalelite, not while its meetings run; its rules go with it."""
    async with changing(call.database, dry_run=False) as change:
        await remove_tenant(change, call.required("id"))
    print("Tenant was successfully deleted.")


async def assign_all_recordings(call: Call) -> None:
    """The recordings that are of no tenant."""
    tenant = call.said("tenant_id")
    if tenant is None:
        fail("No tenant ID was provided")
    async with changing(call.database, dry_run=False) as change:
        await assign_recordings(change, tenant, [])
    print(f"All existing recordings have been successfully linked to tenant {tenant}")


async def _change(call: Call, values: dict[str, Any], secrets: SecretChange) -> None:
    async with changing(call.database, dry_run=False) as change:
        tenant = await change_tenant(change, call.required("id"), values, secrets)
    print(f"OK\nUpdated Tenant id: {tenant.id}")


def _shown(tenant: Tenant) -> dict[str, str]:
    shown = {"name": tenant.name, "secrets": ":".join(tenant.secrets)}
    if tenant.lrs is None:
        return shown
    lrs = tenant.lrs
    return shown | {
        name: value
        for name, value in {
            "lrs_endpoint": lrs.endpoint,
            "lrs_username": lrs.username,
            "lrs_password": lrs.password,
            "kc_token_url": lrs.token_url,
            "kc_client_id": lrs.client_id,
            "kc_client_secret": lrs.client_secret,
            "kc_username": lrs.token_username,
            "kc_password": lrs.token_password,
        }.items()
        if value
    }
