"""All tasks, and how one is carried out."""

from admin.connection import with_database
from admin.rake import meetings, processes, server_lists, servers, status, tenant_settings, tenants
from admin.rake.calls import Call, Task, fail, parse_task
from meetingpool.database.engine import Database
from meetingpool.settings import Settings

_LRS = ("id", "lrs_endpoint")
_KEYCLOAK = ("kc_token_url", "kc_client_id", "kc_client_secret", "kc_username", "kc_password")
_SERVER = ("url", "secret", "load_multiplier", "tag")

_ALL = (
    Task(name="servers", run=servers.list_servers, description="List servers, with their secrets"),
    Task(name="servers:add", arguments=_SERVER, run=servers.add, description="Add a server, disabled"),
    Task(
        name="servers:update",
        arguments=("id", "secret", "load_multiplier", "tag"),
        run=servers.update,
        description="Change a server",
    ),
    Task(name="servers:remove", arguments=("id",), run=servers.remove, description="Remove a server without meetings"),
    Task(name="servers:enable", arguments=("id",), run=servers.enable, description="Let a server take new meetings"),
    Task(name="servers:cordon", arguments=("id",), run=servers.cordon, description="Send no new meetings to a server"),
    Task(name="servers:disable", arguments=("id",), run=servers.disable, description="Take a server out of use"),
    Task(
        name="servers:panic",
        arguments=("id", "keep_state", "skip_end_calls"),
        run=servers.panic,
        description="End all meetings of a server, and disable it",
    ),
    Task(
        name="servers:loadMultiplier",
        arguments=("id", "load_multiplier"),
        run=servers.set_multiplier,
        description="Set how much a meeting on a server counts",
    ),
    Task(name="servers:tag", arguments=("id", "tag"), run=servers.set_tag, description="Tag a server, or untag it"),
    Task(
        name="servers:addAll", arguments=("path",), run=server_lists.add_all, description="Add the servers of a file (deprecated)"
    ),
    Task(
        name="servers:sync",
        arguments=("path", "mode", "dryrun"),
        run=server_lists.sync,
        description="Make the servers what a file says",
    ),
    Task(name="servers:yaml", arguments=("verbose",), run=server_lists.export, description="Write what servers:sync reads"),
    Task(
        name="servers:meeting_list",
        arguments=("server_ids",),
        run=servers.list_meetings,
        description="List the names of the meetings on servers",
    ),
    Task(name="status", run=status.status, description="Show how the servers are"),
    Task(name="poll", arguments=("interval",), process=processes.poll, description="Watch the servers until stopped"),
    Task(name="poll:all", run=status.poll, description="Poll all servers once"),
    Task(name="poll:servers", run=status.poll, description="The same"),
    Task(name="poll:meetings", run=status.poll, description="The same"),
    Task(name="poll:versions", run=status.poll, description="The same"),
    Task(name="meetings", arguments=("meeting_ids",), run=meetings.list_meetings, description="List meetings and their servers"),
    Task(name="meetings:list", arguments=("meeting_ids",), run=meetings.list_meetings, description="The same"),
    Task(
        name="meetings:info", arguments=("meeting_id",), run=meetings.show, description="Show what its server says of a meeting"
    ),
    Task(name="meetings:end", arguments=("meeting_ids",), run=meetings.end, description="End meetings, or all"),
    Task(
        name="recordings:watch",
        arguments=("force_polling", "latency"),
        process=processes.watch_recordings,
        description="Import recordings until stopped",
    ),
    Task(name="recordings:update", run=status.put_recordings_in_place, description="Move files to where they should be"),
    Task(
        name="recordings:addToTenant",
        arguments=("tenant_id",),
        run=tenants.assign_all_recordings,
        description="Give recordings without a tenant to one",
    ),
    Task(name="tenants", run=tenants.list_tenants, description="List tenants, with their secrets"),
    Task(name="tenants:add", arguments=("name", "secrets"), run=tenants.add, description="Add a tenant"),
    Task(name="tenants:update", arguments=("id", "name", "secrets"), run=tenants.update, description="Change a tenant"),
    Task(
        name="tenants:update_lrs_basic",
        arguments=(*_LRS, "lrs_username", "lrs_password"),
        run=tenants.update_lrs_basic,
        description="Where learning records go, by password",
    ),
    Task(
        name="tenants:update_lrs_kc",
        arguments=(*_LRS, *_KEYCLOAK),
        run=tenants.update_lrs_kc,
        description="Where learning records go, by tokens of Keycloak",
    ),
    Task(name="tenants:remove", arguments=("id",), run=tenants.remove, description="Remove a tenant"),
    Task(name="tenantSettings", run=tenant_settings.list_settings, description="List what tenants' calls may say"),
    Task(
        name="tenantSettings:add",
        arguments=("tenant_id", "param", "value", "override"),
        run=tenant_settings.add,
        description="Set a parameter of a tenant's calls",
    ),
    Task(name="tenantSettings:remove", arguments=("id",), run=tenant_settings.remove, description="Remove such a setting"),
    Task(name="liveness", run=status.is_alive, description="Say that the database answers"),
    Task(name="livenessProbe", run=status.is_alive, description="The same"),
)
TASKS = {task.name: task for task in _ALL}


def list_tasks() -> None:
    width = max(len(task.signature) for task in _ALL)
    for task in _ALL:
        print(f"rake {task.signature:{width}}  # {task.description}")


def run_task(text: str) -> None:
    """Carries out `name[first,second]`. What is refused is told by one sentence, with exit code 1."""
    name, arguments = parse_task(text)
    task = TASKS.get(name)
    if task is None:
        fail(f"Don't know how to build task '{name}': `meetingpool rake` lists them all")
    given = dict(zip(task.arguments, arguments, strict=False))
    if task.process:
        task.process(given)
    if run := task.run:

        async def work(database: Database, settings: Settings) -> None:
            if task.is_about_tenants and not settings.multitenancy_enabled:
                fail("Multitenancy is disabled, task can not be completed")
            await run(Call(database, settings, given))

        with_database(work)


def run_tasks(texts: list[str]) -> None:
    """One after the other; one that fails is the last."""
    if not texts:
        list_tasks()
    for text in texts:
        run_task(text)
