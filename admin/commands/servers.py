"""`meetingpool servers …`"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from admin.commands import server_limit_options as limits
from admin.commands import server_lists
from admin.commands.arguments import DryRun, Format, ServerName, ServerNames, Style, Watch, Yes
from admin.commands.given_secrets import given_secret

app = typer.Typer(name="servers", help="The servers of the pool.", no_args_is_help=True)
app.command("sync")(server_lists.sync)
app.command("export")(server_lists.export)

Secret = Annotated[str | None, typer.Option(metavar="SECRET", help="The server's secret; - reads it from standard input.")]
SecretFile = Annotated[Path | None, typer.Option(help="A file that holds the secret.", exists=True, dir_okay=False)]
Multiplier = Annotated[float | None, typer.Option(metavar="N", help="2 makes each meeting count twice.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="T", help="Kind of server; may be given several times.")]
Region = Annotated[str | None, typer.Option(metavar="R", help="Where the server is.")]


@app.command("list")
def list_servers(
    style: Style = Format.TABLE,
    watch: Watch = None,
    show_secrets: Annotated[bool, typer.Option("--show-secrets", help="Show the secrets too.")] = False,
) -> None:
    """List all servers."""
    from admin.connection import with_database
    from admin.output import until_interrupted
    from admin.servers import show_servers

    with until_interrupted(watch):
        with_database(lambda database, _: show_servers(database, style, watch, show_secrets=show_secrets))


@app.command("add")
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="Its BBB API, as https://host/bigbluebutton/api.")],
    secret: Secret = None,
    secret_file: SecretFile = None,
    server_id: Annotated[str | None, typer.Option("--id", metavar="ID", help="Default: a random one.")] = None,
    load_multiplier: Multiplier = 1.0,
    tag: Tags = None,
    region: Region = None,
    max_meetings: limits.MaxMeetings = None,
    max_users: limits.MaxUsers = None,
    soft_meetings: limits.SoftMeetings = None,
    soft_users: limits.SoftUsers = None,
    enable: Annotated[bool, typer.Option("--enable", help="Poll it, say what was seen, and enable it.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Add a server, disabled unless told to enable it."""
    given = given_secret("--secret", secret, secret_file) or _asked_secret()
    from admin.connection import with_database
    from admin.server_changes import add_server
    from meetingpool.operations.add_server import new_server
    from meetingpool.settings import read_settings

    server = new_server(
        url,
        given,
        server_id=server_id,
        id_is_host_name=read_settings().server_id_is_hostname,
        load_multiplier=1.0 if load_multiplier is None else load_multiplier,
        tags=tag or (),
        region=region,
        limits=limits.given(max_meetings, max_users, soft_meetings, soft_users),
    )
    with_database(lambda database, settings: add_server(database, settings, server, enable=enable, dry_run=dry_run))


@app.command("set")
def set_server(
    name: ServerName,
    url: Annotated[str | None, typer.Option(metavar="URL", help="Its BBB API.")] = None,
    secret: Secret = None,
    secret_file: SecretFile = None,
    load_multiplier: Multiplier = None,
    tag: Tags = None,
    no_tags: Annotated[bool, typer.Option("--no-tags", help="Take all tags away.")] = False,
    region: Region = None,
    max_meetings: limits.MaxMeetings = None,
    no_max_meetings: limits.NoMaxMeetings = False,
    max_users: limits.MaxUsers = None,
    no_max_users: limits.NoMaxUsers = False,
    soft_meetings: limits.SoftMeetings = None,
    no_soft_meetings: limits.NoSoftMeetings = False,
    soft_users: limits.SoftUsers = None,
    no_soft_users: limits.NoSoftUsers = False,
    dry_run: DryRun = False,
) -> None:
    """Change what is known of a server. Tags replace the ones it has; an empty region takes it away."""
    new_limits = limits.given(max_meetings, max_users, soft_meetings, soft_users)
    taken_away = limits.taken_away(new_limits, no_max_meetings, no_max_users, no_soft_meetings, no_soft_users)
    if tag and no_tags:
        raise typer.BadParameter("give either --tag or --no-tags")
    from admin.connection import with_database
    from admin.server_changes import change_server
    from meetingpool.operations.change_server import checked_values

    values = checked_values(
        url=url,
        secret=given_secret("--secret", secret, secret_file),
        load_multiplier=load_multiplier,
        tags=[] if no_tags else tag or None,
        region=region,
        limits=new_limits | taken_away,
    )
    if not values:
        raise typer.BadParameter(
            "say what to change: --url, --secret, --load-multiplier, --tag, --no-tags, --region or a limit as --max-users"
        )
    with_database(lambda database, _: change_server(database, name, values, dry_run=dry_run))


@app.command("enable")
def enable(names: ServerNames, dry_run: DryRun = False) -> None:
    """Let servers take new meetings."""
    from admin.connection import with_database
    from admin.server_changes import enable_servers

    with_database(lambda database, _: enable_servers(database, names, dry_run=dry_run))


@app.command("cordon")
def cordon(
    names: ServerNames,
    wait: Annotated[bool, typer.Option("--wait", help="Return when the servers are empty.")] = False,
    timeout: Annotated[float | None, typer.Option(min=0, metavar="SECONDS", help="Wait no longer than this.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Send no new meetings to servers; they are disabled when the last one is over."""
    from admin.connection import with_database
    from admin.server_changes import cordon_servers

    with_database(
        lambda database, _: cordon_servers(database, names, wait=wait and not dry_run, patience=timeout, dry_run=dry_run)
    )


@app.command("disable")
def disable(names: ServerNames, dry_run: DryRun = False) -> None:
    """Take servers out of use; refused while meetings run on them."""
    from admin.connection import with_database
    from admin.server_changes import disable_servers

    with_database(lambda database, _: disable_servers(database, names, dry_run=dry_run))


@app.command("panic")
def panic(
    names: ServerNames,
    keep_state: Annotated[bool, typer.Option("--keep-state", help="Do not disable the servers.")] = False,
    skip_end_calls: Annotated[bool, typer.Option("--skip-end-calls", help="Forget the meetings without ending them.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """End and forget all meetings of servers, and disable them."""
    from admin.connection import with_database
    from admin.server_panic import PanicOptions, panic_servers

    options = PanicOptions(keep_state=keep_state, skip_end_calls=skip_end_calls, yes=yes, dry_run=dry_run)
    with_database(lambda database, settings: panic_servers(database, settings, names, options))


@app.command("remove")
def remove(names: ServerNames, dry_run: DryRun = False) -> None:
    """Take servers out of the pool; refused while meetings run on them."""
    from admin.connection import with_database
    from admin.server_changes import remove_servers

    with_database(lambda database, _: remove_servers(database, names, dry_run=dry_run))


def _asked_secret() -> str:
    if not sys.stdin.isatty():
        raise typer.BadParameter("give the server's secret by --secret or --secret-file, or by --secret - on standard input")
    return str(typer.prompt("Secret of the server", hide_input=True))


@app.command("upload-token")
def upload_token(server: ServerName) -> None:
    """Show what the server needs to upload recordings: an address and a token."""
    from admin.connection import with_database
    from admin.servers import show_upload_token

    with_database(lambda database, settings: show_upload_token(database, settings, server))
