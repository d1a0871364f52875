"""The whole map of the management API: which method of which path does what, and which permission that needs.

From it come the routes, the document, the page in docs/, and the test that asks every role for everything.
"""

from collections.abc import Callable

from gateway.management_api import (
    alerts,
    callbacks,
    capacity,
    events,
    imports,
    meetings,
    recordings,
    registrations,
    servers,
    tenants,
    tokens,
    watching,
)
from gateway.management_api.endpoint import Endpoint, Handler
from meetingpool.domain.access import Permission as May


def _endpoints_of(method: str) -> Callable[..., Endpoint]:
    def endpoint(path: str, permission: May | None, handler: Handler, status: int = 200) -> Endpoint:
        return Endpoint(method=method, path=path, permission=permission, handler=handler, status=status)

    return endpoint


_get, _post, _patch, _delete = map(_endpoints_of, ("GET", "POST", "PATCH", "DELETE"))
CREATED = 201

ENDPOINTS: tuple[Endpoint, ...] = (
    _get("/whoami", None, tokens.show_caller),
    _get("/status", May.READ_POOL, watching.show_status),
    _get("/capacity", May.READ_POOL, capacity.show_capacity),
    _get("/events", May.READ_MEETINGS, events.stream_events),
    _get("/servers", May.READ_POOL, servers.list_servers),
    _post("/servers", May.ADD_AND_REMOVE_SERVERS, servers.add_server, status=CREATED),
    _get("/servers/{server}", May.READ_POOL, servers.show_server),
    _patch("/servers/{server}", May.CHANGE_SERVERS, servers.change_server),
    _delete("/servers/{server}", May.ADD_AND_REMOVE_SERVERS, servers.remove_server),
    _post("/servers/{server}/enable", May.CHANGE_SERVERS, servers.enable_server),
    _post("/servers/{server}/cordon", May.CHANGE_SERVERS, servers.cordon_server),
    _post("/servers/{server}/disable", May.CHANGE_SERVERS, servers.disable_server),
    _post("/servers/{server}/panic", May.CHANGE_SERVERS, servers.panic_server),
    _post("/servers/{server}/poll", May.CHANGE_SERVERS, servers.poll_server),
    _get("/servers/{server}/samples", May.READ_POOL, servers.show_samples),
    _get("/servers/{server}/secret", May.SHOW_SECRETS, servers.show_server_secret),
    _post("/registrations", May.REGISTER_SERVERS, registrations.register, status=CREATED),
    _delete("/registrations/{server}", May.REGISTER_SERVERS, registrations.deregister),
    _get("/meetings", May.READ_MEETINGS, meetings.list_meetings),
    _post("/meetings/end", May.END_MEETINGS, meetings.end_meetings),
    _get("/meetings/{meeting}", May.READ_MEETINGS, meetings.show_meeting),
    _get("/meetings/{meeting}/why", May.READ_POOL, meetings.show_placement),
    _delete("/meetings/{meeting}", May.END_MEETINGS, meetings.end_meeting),
    _get("/recordings", May.READ_RECORDINGS, recordings.list_recordings),
    _post("/recordings/assign", May.ASSIGN_RECORDINGS, recordings.assign_recordings),
    _get("/recordings/{recording}", May.READ_RECORDINGS, recordings.show_recording),
    _patch("/recordings/{recording}", May.CHANGE_RECORDINGS, recordings.change_recording),
    _delete("/recordings/{recording}", May.CHANGE_RECORDINGS, recordings.delete_recording),
    _post("/recordings/{recording}/restore", May.CHANGE_RECORDINGS, recordings.restore_recording),
    _get("/imports", May.READ_QUARANTINE, imports.list_imports),
    _get("/quarantine", May.READ_QUARANTINE, imports.list_quarantine),
    _post("/quarantine/retry", May.CHANGE_QUARANTINE, imports.retry_quarantine),
    _post("/quarantine/{archive}/retry", May.CHANGE_QUARANTINE, imports.retry_archive),
    _delete("/quarantine/{archive}", May.CHANGE_QUARANTINE, imports.remove_archive),
    _get("/tenants", May.READ_TENANTS, tenants.list_tenants),
    _post("/tenants", May.CHANGE_TENANTS, tenants.add_tenant, status=CREATED),
    _get("/tenants/{tenant}", May.READ_TENANTS, tenants.show_tenant),
    _patch("/tenants/{tenant}", May.CHANGE_TENANTS, tenants.change_tenant),
    _delete("/tenants/{tenant}", May.CHANGE_TENANTS, tenants.remove_tenant),
    _get("/tenants/{tenant}/secrets", May.SHOW_SECRETS, tenants.show_tenant_secrets),
    _get("/tenants/{tenant}/rules", May.READ_TENANTS, tenants.list_rules),
    _post("/tenants/{tenant}/rules", May.CHANGE_TENANTS, tenants.set_rule),
    _delete("/tenants/{tenant}/rules/{rule}", May.CHANGE_TENANTS, tenants.remove_rule),
    _get("/callbacks", May.READ_CALLBACKS, callbacks.list_callbacks),
    _post("/callbacks/retry", May.RETRY_CALLBACKS, callbacks.retry_callbacks),
    _post("/callbacks/{callback}/retry", May.RETRY_CALLBACKS, callbacks.retry_callback),
    _get("/usage", May.READ_USAGE, watching.show_usage),
    _get("/audit", May.READ_AUDIT, watching.list_audit),
    _get("/alerts", May.READ_ALERTS, alerts.list_alerts),
    _get("/alerts/hooks", May.READ_ALERTS, alerts.list_hooks),
    _post("/alerts/hooks", May.CHANGE_ALERTS, alerts.add_hook, status=CREATED),
    _delete("/alerts/hooks/{hook}", May.CHANGE_ALERTS, alerts.remove_hook),
    _post("/alerts/hooks/{hook}/test", May.CHANGE_ALERTS, alerts.try_hook),
    _get("/tokens", May.READ_TOKENS, tokens.list_tokens),
    _post("/tokens", May.CHANGE_TOKENS, tokens.create_token, status=CREATED),
    _delete("/tokens/{token}", May.CHANGE_TOKENS, tokens.revoke_token),
)
