"""A pool to manage: two tenants with something of everything, and callers with tokens of every role."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from gateway.state import Gateway
from meetingpool.bbb.client import signed_url
from meetingpool.database import imports, outbox
from meetingpool.database.engine import Database
from meetingpool.database.tenants import put_rule
from meetingpool.domain.access import Role
from meetingpool.domain.announcements import Announcement
from meetingpool.domain.callbacks import CallbackKind
from meetingpool.domain.parameters import Operator, Rule
from meetingpool.domain.recordings import RecordId, RecordingState
from meetingpool.operations.add_server import add_server, new_server
from meetingpool.operations.alert_hooks import add_hook
from meetingpool.operations.api_tokens import create_token
from meetingpool.operations.changes import changing
from tests.actors import SOMEBODY
from tests.pool import RunningPool, running_pool
from tests.recordings import planted_recording, storage_of
from tests.tenants import add_tenants

ROOT = "http://gateway/api/v1"
# Whose a recording is, and the one that was deleted.
RECORDINGS = {"a": RecordId(f"{'a' * 40}-1700000000001"), "b": RecordId(f"{'b' * 40}-1700000000002")}
DELETED = RecordId(f"{'d' * 40}-1700000000003")


@dataclass
class ManagedPool:
    """`tokens` by whom they are given to: the roles, with `a` and `b` for tenant-admins, `expired` and `revoked`."""

    pool: RunningPool
    gateway: Gateway
    http: httpx.AsyncClient
    tokens: dict[str, str]

    async def ask(self, method: str, path: str, caller: str = "admin", **request: Any) -> httpx.Response:
        """The answer to a request of `caller`, who has a token, or sends this as one; "" sends none."""
        headers = dict(request.pop("headers", {}))
        if caller:
            headers["authorization"] = f"Bearer {self.tokens.get(caller, caller)}"
        return await self.http.request(method, ROOT + path, headers=headers, **request)

    async def done(self, method: str, path: str, caller: str = "admin", **request: Any) -> Any:
        """What is answered to a request that is carried out."""
        answer = await self.ask(method, path, caller, **request)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    async def audit(self, **query: Any) -> list[dict[str, Any]]:
        """The newest entries first."""
        listed = await self.done("GET", "/audit", params=query)
        return list(listed["items"])


async def refused(managed: ManagedPool, method: str, path: str, caller: str = "admin", **request: Any) -> tuple[int, str]:
    """Status and code of the answer to a request that is not carried out."""
    answer = await managed.ask(method, path, caller, **request)
    return answer.status_code, answer.json()["code"]


@asynccontextmanager
async def managed_pool(database_url: str, directory: Path, **settings: Any) -> AsyncIterator[ManagedPool]:
    """Tenants a and b have a meeting `room` and a recording each, a callback that was given up, and a has a rule.

    There are a tenant c and a server `spare` without anything, a refused archive, a deleted recording, and an address for alerts.
    Files are below `directory`.
    """
    own = {"multitenancy_enabled": True, "data_dir": directory, **settings}
    async with running_pool(database_url, **own) as pool:
        await add_tenants(pool.database, "a", "b", "c")
        tokens = await make_tokens(pool.database)
        await _plant(pool)
        front_end = await pool.front_end()
        for name in ("a", "b"):
            endpoint, room = f"http://gateway/t/{name}/bigbluebutton/api", [("meetingID", "room"), ("name", "A room")]
            created = await front_end.http.get(signed_url(endpoint, f"secret of {name}", "create", room))
            assert b"SUCCESS" in created.content
        await pool.poll()
        yield ManagedPool(pool, front_end.gateway, front_end.http, tokens)


async def make_tokens(database: Database) -> dict[str, str]:
    """Tokens by whom they are given to. One has expired; one is revoked."""
    later = datetime.now(UTC) + timedelta(hours=1)
    tokens: dict[str, str] = {}
    async with changing(database, SOMEBODY) as change:
        for role in (Role.ADMIN, Role.OPERATOR, Role.AUDITOR):
            tokens[role] = (await create_token(change, role, role, expires_at=later)).plain
        for name in ("a", "b"):
            tokens[name] = (await create_token(change, f"of {name}", Role.TENANT_ADMIN, tenant=name)).plain
        tokens[Role.SERVER] = (await create_token(change, Role.SERVER, Role.SERVER)).plain
        for name in ("expired", "revoked"):
            tokens[name] = (await create_token(change, name, Role.ADMIN)).plain
        await change.connection.execute("UPDATE api_tokens SET expires_at = now() - interval '1 s' WHERE name = 'expired'")
        await change.connection.execute("UPDATE api_tokens SET revoked_at = now() WHERE name = 'revoked'")
    return tokens


async def _plant(pool: RunningPool) -> None:
    storage = storage_of(pool.settings)
    for name, record_id in RECORDINGS.items():
        files = {"presentation": {"index.html": b"slides"}}
        await planted_recording(pool.database, storage, files, record_id=record_id, tenant=f"id-of-{name}", name=f"Of {name}")
    state = RecordingState.DELETED
    await planted_recording(pool.database, storage, {"video": {"a": b"b"}}, record_id=DELETED, tenant="id-of-a", state=state)
    async with changing(pool.database, SOMEBODY) as change:
        await add_server(change, new_server("http://127.0.0.1:9", "canary secret of spare", server_id="spare"))
        await put_rule(change.connection, "id-of-a", "create", Rule(Operator.CAP, "duration", "90"))
        await add_hook(change, "https://watch.example/hook?key=canary-of-hook", secret="canary secret of hook")
        for name in ("a", "b"):
            await outbox.announce(change.connection, _announcement(f"id-of-{name}"))
        await change.connection.execute("UPDATE outbox SET state = 'given_up', settled_at = now(), last_error = 'no connection'")
        await change.connection.execute("UPDATE recordings SET wanted = 'deleted' WHERE record_id = $1", DELETED)
        await imports.add_import(
            change.connection, spool=pool.settings.data_dir, name="bad.tar", file="1-bad.tar", size=7, mtime_ns=1, quiet_for=9.0
        )
        await change.connection.execute(
            "UPDATE imports SET state = 'quarantined', finished_at = now(), reason = 'not_an_archive', detail = 'It is a letter'"
        )


def _announcement(tenant: str) -> Announcement:
    return Announcement(
        kind=CallbackKind.RECORDING_READY,
        tenant=tenant,
        meeting_id="room",
        url="https://lms.example/ready?token=canary-of-callback",
        payload={"record_id": "r"},
        subject=(tenant,),
    )
