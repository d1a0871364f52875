"""`meetingpool tenants …`"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Annotated, Any

import typer

from admin.commands import tenant_options as options
from admin.commands import tenant_rules
from admin.commands.arguments import DryRun, Format, Style, TenantName, Watch, Yes
from admin.commands.given_secrets import given_secret, given_secrets
from meetingpool.domain.tenants import LrsAccess

app = typer.Typer(name="tenants", help="The front ends, where there are several (MULTITENANCY_ENABLED).", no_args_is_help=True)
app.add_typer(tenant_rules.app, name="rules")

# What a tenant can be without, and how it is taken away.
_OPTIONAL = {
    "checksum_algorithms": "--no-checksum-algorithms",
    "server_tags": "--no-tags",
    "max_meetings": "--no-max-meetings",
    "max_users": "--no-max-users",
    "callback_hosts": "--no-callback-hosts",
    "region": "--no-region",
    "lrs": "--no-lrs",
}


@app.command("list")
def list_tenants(style: Style = Format.TABLE, watch: Watch = None, show_secrets: options.ShowSecrets = False) -> None:
    """List all tenants."""
    from admin.connection import with_database
    from admin.output import until_interrupted
    from admin.tenants import show_tenants

    with until_interrupted(watch):
        with_database(lambda database, _: show_tenants(database, style, watch, show_secrets=show_secrets))


@app.command("show")
def show_tenant(name: TenantName, style: Style = Format.TABLE, show_secrets: options.ShowSecrets = False) -> None:
    """Show a tenant with its rules."""
    from admin.connection import with_database
    from admin.tenants import show_tenant

    with_database(lambda database, _: show_tenant(database, name, style, show_secrets=show_secrets))


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The first label of its host name, or a part of its path.")],
    tenant_id: Annotated[str | None, typer.Option("--id", metavar="ID", help="Default: a random one. It never changes.")] = None,
    secret: options.Secrets = None,
    secret_file: options.SecretFiles = None,
    tag: options.Tags = None,
    max_meetings: options.MaxMeetings = None,
    max_users: options.MaxUsers = None,
    callback_host: options.CallbackHosts = None,
    region: options.Region = None,
    checksum_algorithm: options.ChecksumAlgorithms = None,
    dry_run: DryRun = False,
) -> None:
    """Add a tenant. Without a secret it gets one, which is shown."""
    given = given_secrets(secret, secret_file)
    from admin.connection import with_database
    from admin.tenant_changes import add_tenant
    from meetingpool.operations.change_tenant import checked_values, new_secret, new_tenant

    values = checked_values(
        checksum_algorithms=checksum_algorithm or (),
        server_tags=tag or (),
        max_meetings=max_meetings,
        max_users=max_users,
        callback_hosts=callback_host or (),
        region=region,
    )
    tenant = new_tenant(name, given or [new_secret()], values, tenant_id=tenant_id)
    with_database(lambda database, settings: add_tenant(database, settings, tenant, is_generated=not given, dry_run=dry_run))


@app.command("set")
def set_tenant(
    name: TenantName,
    new_name: options.NewName = None,
    secret: options.Secrets = None,
    secret_file: options.SecretFiles = None,
    add_secret: options.AddSecrets = None,
    add_secret_file: options.AddSecretFiles = None,
    first: options.First = False,
    remove_secret: options.RemoveSecrets = None,
    remove_secret_file: options.RemoveSecretFiles = None,
    tag: options.Tags = None,
    no_tags: options.NoTags = False,
    max_meetings: options.MaxMeetings = None,
    no_max_meetings: options.NoMaxMeetings = False,
    max_users: options.MaxUsers = None,
    no_max_users: options.NoMaxUsers = False,
    callback_host: options.CallbackHosts = None,
    no_callback_hosts: options.NoCallbackHosts = False,
    region: options.Region = None,
    no_region: options.NoRegion = False,
    checksum_algorithm: options.ChecksumAlgorithms = None,
    no_checksum_algorithms: options.NoChecksumAlgorithms = False,
    lrs_endpoint: options.LrsEndpoint = None,
    lrs_username: options.LrsUsername = None,
    lrs_password: options.LrsPassword = None,
    lrs_password_file: options.LrsPasswordFile = None,
    kc_token_url: options.KcTokenUrl = None,
    kc_client_id: options.KcClientId = None,
    kc_client_secret: options.KcClientSecret = None,
    kc_client_secret_file: options.KcClientSecretFile = None,
    kc_username: options.KcUsername = None,
    kc_password: options.KcPassword = None,
    kc_password_file: options.KcPasswordFile = None,
    no_lrs: options.NoLrs = False,
    dry_run: DryRun = False,
) -> None:
    """Change a tenant. --secret, --tag, --callback-host and --checksum-algorithm replace what it has."""
    from admin.connection import with_database
    from admin.tenant_changes import change_tenant, secret_change
    from meetingpool.operations.change_tenant import checked_values

    replacement, added = given_secrets(secret, secret_file), given_secrets(add_secret, add_secret_file)
    removed = [*map(_number_or_secret, remove_secret or ()), *given_secrets(None, remove_secret_file)]
    change = secret_change(replacement=replacement, added=added, removed=removed, first=first)
    password = given_secret("--lrs-password", lrs_password, lrs_password_file)
    client_secret = given_secret("--kc-client-secret", kc_client_secret, kc_client_secret_file)
    token_password = given_secret("--kc-password", kc_password, kc_password_file)
    values = checked_values(
        name=new_name,
        checksum_algorithms=checksum_algorithm or (),
        server_tags=tag or (),
        max_meetings=max_meetings,
        max_users=max_users,
        callback_hosts=callback_host or (),
        region=region,
        lrs=_lrs(lrs_endpoint, lrs_username, password, kc_token_url, kc_client_id, client_secret, kc_username, token_password),
    )
    without = [no_checksum_algorithms, no_tags, no_max_meetings, no_max_users, no_callback_hosts, no_region, no_lrs]
    changes = _with_taken_away(values, without, is_enough=bool(change))
    with_database(lambda database, settings: change_tenant(database, settings, name, changes, change, dry_run=dry_run))


@app.command("remove")
def remove(name: TenantName, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Remove a tenant with its rules; refused while its meetings run."""
    from admin.connection import with_database
    from admin.tenant_changes import remove_tenant

    with_database(lambda database, settings: remove_tenant(database, settings, name, yes=yes, dry_run=dry_run))


def _number_or_secret(text: str) -> int | str:
    """Secrets come by standard input only, where no shell remembers them."""
    if text.isascii() and text.isdigit():
        return int(text)
    if text != "-":
        raise typer.BadParameter("give --remove-secret the number of the secret, or - and the secret on standard input")
    return given_secrets([text], None)[0]


def _lrs(*given: str | None) -> LrsAccess | None:
    """What is given of the fields of LrsAccess, in their order; None for nothing."""
    named = {field.name: text for field, text in zip(fields(LrsAccess), given, strict=True) if text is not None}
    return LrsAccess(**{"endpoint": ""} | named) if named else None


def _with_taken_away(values: dict[str, Any], without: Sequence[bool], *, is_enough: bool) -> dict[str, Any]:
    """The values, and None for what the tenant is to be without. There may be none of both where something else is enough."""
    taken = [field for field, is_taken in zip(_OPTIONAL, without, strict=True) if is_taken]
    if both := [field for field in taken if field in values]:
        raise typer.BadParameter(f"give either {_OPTIONAL[both[0]]} or what is to be there")
    if not (values or taken or is_enough):
        raise typer.BadParameter("say what to change, as `meetingpool tenants set --help` lists it")
    return values | dict.fromkeys(taken)
