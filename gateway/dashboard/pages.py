"""The map of the dashboard: each page and each action, with what one needs to be allowed."""

from gateway.dashboard import alerts, audit, callbacks, imports, meetings, pool, recordings, servers, tenants, tokens, usage
from gateway.dashboard.settings import show_settings
from gateway.dashboard.site import Action, Page
from gateway.dashboard.visits import HOME
from meetingpool.domain.access import Permission
from meetingpool.operations.administer_recordings import EDITS

_SERVERS = frozenset({"reloaded", "servers", "status", "load", "placed"})
_MEETINGS = frozenset({"reloaded", "meetings", "placed", "gone", "status"})
_CHANGES = frozenset({"reloaded", "audit"})

_ALERTS = Page(
    path=f"{HOME}/alerts",
    permission=Permission.READ_ALERTS,
    show=alerts.show_alerts,
    label="Alerts",
    topics=_CHANGES | {"status"},
)
_NEW_SERVER = Page(
    path=f"{HOME}/servers/add", permission=Permission.ADD_AND_REMOVE_SERVERS, show=servers.show_new_server, below=HOME
)
_SERVER = Page(
    path=f"{HOME}/servers/{{server}}",
    permission=Permission.READ_POOL,
    show=servers.show_server,
    below=HOME,
    topics=_SERVERS | _MEETINGS,
)
_NEW_TENANT = Page(
    path=f"{HOME}/tenants/add", permission=Permission.CHANGE_TENANTS, show=tenants.show_new_tenant, below=f"{HOME}/tenants"
)
_TENANT = Page(
    path=f"{HOME}/tenants/{{tenant}}", permission=Permission.READ_TENANTS, show=tenants.show_tenant, below=f"{HOME}/tenants"
)
_TOKENS = Page(path=f"{HOME}/tokens", permission=Permission.READ_TOKENS, show=tokens.show_tokens, label="Tokens")

# In the order in which they are listed, and in which an address is looked for.
PAGES = (
    Page(path=HOME, permission=Permission.READ_POOL, show=pool.show_pool, label="Pool", topics=_SERVERS | _CHANGES),
    Page(
        path=f"{HOME}/meetings",
        permission=Permission.READ_MEETINGS,
        show=meetings.show_meetings,
        label="Meetings",
        topics=_MEETINGS,
    ),
    Page(
        path=f"{HOME}/recordings",
        permission=Permission.READ_RECORDINGS,
        show=recordings.show_recordings,
        label="Recordings",
        topics=_CHANGES | {"recordings", "settled"},
    ),
    Page(
        path=f"{HOME}/imports",
        permission=Permission.READ_QUARANTINE,
        show=imports.show_imports,
        label="Imports",
        topics=_CHANGES | {"recordings", "settled"},
    ),
    Page(
        path=f"{HOME}/callbacks",
        permission=Permission.READ_CALLBACKS,
        show=callbacks.show_callbacks,
        label="Callbacks",
        topics=_CHANGES | {"outbox"},
    ),
    Page(path=f"{HOME}/tenants", permission=Permission.READ_TENANTS, show=tenants.show_tenants, label="Tenants"),
    Page(path=f"{HOME}/usage", permission=Permission.READ_USAGE, show=usage.show_usage, label="Usage"),
    _ALERTS,
    Page(path=f"{HOME}/audit", permission=Permission.READ_AUDIT, show=audit.show_audit, label="Audit", topics=_CHANGES),
    _TOKENS,
    Page(path=f"{HOME}/settings", permission=Permission.READ_POOL, show=show_settings, label="Settings"),
    _NEW_SERVER,
    _SERVER,
    _NEW_TENANT,
    _TENANT,
)

_SERVER_PATH, _TENANT_PATH = f"{HOME}/servers/{{server}}", f"{HOME}/tenants/{{tenant}}"

ACTIONS = (
    Action(path=f"{HOME}/servers/add", permission=Permission.ADD_AND_REMOVE_SERVERS, act=servers.add_server, page=_NEW_SERVER),
    Action(path=f"{_SERVER_PATH}/set", permission=Permission.CHANGE_SERVERS, act=servers.set_server, page=_SERVER),
    Action(path=f"{_SERVER_PATH}/poll", permission=Permission.CHANGE_SERVERS, act=servers.poll_now),
    Action(path=f"{_SERVER_PATH}/panic", permission=Permission.CHANGE_SERVERS, act=servers.panic),
    Action(path=f"{_SERVER_PATH}/remove", permission=Permission.ADD_AND_REMOVE_SERVERS, act=servers.remove_server),
    *(
        Action(path=f"{_SERVER_PATH}/{verb}", permission=Permission.CHANGE_SERVERS, act=servers.changing_to(state))
        for verb, state in servers.STATES.items()
    ),
    Action(path=f"{HOME}/meetings/end", permission=Permission.END_MEETINGS, act=meetings.end_meetings),
    Action(path=f"{HOME}/recordings/assign", permission=Permission.ASSIGN_RECORDINGS, act=recordings.assign),
    *(
        Action(path=f"{HOME}/recordings/{verb}", permission=Permission.CHANGE_RECORDINGS, act=recordings.editing(verb))
        for verb in EDITS
    ),
    Action(path=f"{HOME}/imports/retry", permission=Permission.CHANGE_QUARANTINE, act=imports.retry),
    Action(path=f"{HOME}/imports/remove", permission=Permission.CHANGE_QUARANTINE, act=imports.remove),
    Action(path=f"{HOME}/callbacks/retry", permission=Permission.RETRY_CALLBACKS, act=callbacks.retry),
    Action(path=f"{HOME}/tenants/add", permission=Permission.CHANGE_TENANTS, act=tenants.add_tenant, page=_NEW_TENANT),
    Action(path=f"{_TENANT_PATH}/set", permission=Permission.CHANGE_TENANTS, act=tenants.set_tenant, page=_TENANT),
    Action(path=f"{_TENANT_PATH}/rules/add", permission=Permission.CHANGE_TENANTS, act=tenants.add_rule, page=_TENANT),
    Action(path=f"{_TENANT_PATH}/rules/remove", permission=Permission.CHANGE_TENANTS, act=tenants.remove_rule),
    Action(path=f"{_TENANT_PATH}/secrets/add", permission=Permission.SHOW_SECRETS, act=tenants.add_secret, page=_TENANT),
    Action(path=f"{_TENANT_PATH}/secrets/remove", permission=Permission.CHANGE_TENANTS, act=tenants.remove_secret),
    Action(path=f"{_TENANT_PATH}/secrets/reveal", permission=Permission.SHOW_SECRETS, act=tenants.reveal),
    Action(path=f"{_TENANT_PATH}/remove", permission=Permission.CHANGE_TENANTS, act=tenants.remove_tenant),
    Action(path=f"{HOME}/alerts/add", permission=Permission.CHANGE_ALERTS, act=alerts.add, page=_ALERTS),
    Action(path=f"{HOME}/alerts/test", permission=Permission.CHANGE_ALERTS, act=alerts.send_test),
    Action(path=f"{HOME}/alerts/remove", permission=Permission.CHANGE_ALERTS, act=alerts.remove),
    Action(path=f"{HOME}/tokens/create", permission=Permission.CHANGE_TOKENS, act=tokens.create, page=_TOKENS),
    Action(path=f"{HOME}/tokens/revoke", permission=Permission.CHANGE_TOKENS, act=tokens.revoke),
)
