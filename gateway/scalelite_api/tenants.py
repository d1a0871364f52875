"""What Scalelite's management API says of tenants and does with them. Several secrets are one text, with colons between them."""

from typing import Any

from gateway.scalelite_api.calls import ManagementCall
from gateway.scalelite_api.servers import Answer
from meetingpool.database.tenants import all_tenants
from meetingpool.domain.tenants import LrsAccess, Tenant
from meetingpool.operations import change_tenant as changing
from meetingpool.operations.change_tenant import SecretChange, checked_values, locked_tenant, new_tenant, tenant_named

_SHOWN = "tenants.show_secret"
# How Scalelite names what is said of learning records.
_LRS_NAMES = {
    "lrs_endpoint": "endpoint",
    "lrs_username": "username",
    "lrs_password": "password",
    "kc_token_url": "token_url",
    "kc_client_id": "client_id",
    "kc_client_secret": "client_secret",
    "kc_username": "token_username",
    "kc_password": "token_password",
}


async def get_tenants(call: ManagementCall) -> Answer:
    async with call.showing(_SHOWN, "all") as change:
        tenants = await all_tenants(change.connection)
    if not tenants:
        return 200, {"message": "No tenants exist"}
    return 200, [{"id": tenant.id, "name": tenant.name, "secrets": ":".join(tenant.secrets)} for tenant in tenants]


async def get_tenant_info(call: ManagementCall) -> Answer:
    async with call.showing(_SHOWN, call.id) as change:
        tenant = await tenant_named(change.connection, call.id)
    return 200, described(tenant)


async def add_tenant(call: ManagementCall) -> Answer:
    fields = call.fields_of("tenant")
    name, secrets = fields.text("name"), _secrets(fields.text("secrets"))
    if not name or not secrets:
        return 400, {"message": "Error: both name and secrets are required to create a Tenant"}
    tenant = new_tenant(name, secrets, {})
    async with call.changing() as change:
        await changing.add_tenant(change, tenant)
    return 201, {"tenant": described(tenant)}


async def update_tenant(call: ManagementCall) -> Answer:
    async with call.showing(_SHOWN, call.id) as change:
        tenant = await locked_tenant(change.connection, call.id)
        fields = call.fields_of("tenant")
        values = checked_values(name=fields.text("name") or None)
        secrets = SecretChange(replacement=_secrets(fields.text("secrets")))
        if values or secrets:
            await changing.change_tenant(change, tenant.id, values, secrets)
        tenant = await tenant_named(change.connection, tenant.id)
    return 200, {"tenant": described(tenant)}


async def delete_tenant(call: ManagementCall) -> Answer:
    async with call.changing() as change:
        tenant = await changing.remove_tenant(change, call.id)
    return 200, {"success": f"Tenant id={tenant.id} was destroyed"}


def described(tenant: Tenant) -> dict[str, Any]:
    """A tenant as Scalelite shows it, its secrets included."""
    return {
        "name": tenant.name,
        "secrets": ":".join(tenant.secrets),
        **(_described_lrs(tenant.lrs) if tenant.lrs else {}),
        "new_record": False,
        "destroyed": False,
        "id": tenant.id,
    }


def _described_lrs(lrs: LrsAccess) -> dict[str, str]:
    return {name: value for name, field in _LRS_NAMES.items() if (value := getattr(lrs, field))}


def _secrets(text: str) -> list[str]:
    return [secret.strip() for secret in text.split(":") if secret.strip()]
