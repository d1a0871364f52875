"""Keeps a webhook of ours on every server as long as a front end has one here. Run by the leader's Watch, beside the polls.

A server forgets webhooks when it restarts, and drops one that could not be called for some minutes. So each is asked every now
and then which it has, and told what is missing; what is ours and no longer wanted is removed. Nothing is written to the database:
all that counts is on the servers, and two leaders at once do no harm.
"""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from meetingpool.bbb.client import Client
from meetingpool.bbb.errors import ServerFailure
from meetingpool.bbb.webhooks import NoWebhooks, ServerHook, Webhooks
from meetingpool.clock import Clock
from meetingpool.database.engine import Database, DatabaseUnavailable
from meetingpool.database.hooks import Registration, registration
from meetingpool.database.servers import all_servers
from meetingpool.domain.hooks import HookForm, hook_path
from meetingpool.domain.servers import AdminState, Health, Server, ServerId
from meetingpool.logs import get_logger

# Seconds between two looks for servers that are due.
LOOK_EVERY = 10.0
CHECK_EVERY = 60.0
# For a server that has no webhooks.
CHECK_RARELY = 600.0
AT_ONCE = 8
DEADLINE = 5.0

log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A server as it was when its webhooks were looked at, and what it was to have then. `lacks_webhooks`: it has none at all."""

    url: str
    secret: str = field(repr=False)
    wanted: Mapping[HookForm, str] = field(repr=False)
    again_at: float
    reason: str = ""
    lacks_webhooks: bool = False

    def is_of(self, server: Server, wanted: Mapping[HookForm, str]) -> bool:
        is_same = (self.url, self.secret) == (server.url, server.secret)
        return is_same and (self.lacks_webhooks or self.wanted == wanted)


class HookRegistration:
    """One leader's part. `base_url`: where servers reach us, as configured; None: as the last webhook that came showed it."""

    def __init__(self, database: Database, client: Client, clock: Clock, *, base_url: str | None) -> None:
        self._database = database
        self._client = client
        self._clock = clock
        self._base_url = base_url
        self._checked: dict[ServerId, Checked] = {}
        self._places = asyncio.Semaphore(AT_ONCE)
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Webhooks or servers changed."""
        self._woken.set()

    async def run(self) -> None:
        """Until it is cancelled. A new leader begins with the polls, which say whom there is to talk to."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), LOOK_EVERY)
            self._woken.clear()
            try:
                await self.look()
            except DatabaseUnavailable:
                log.warning("database_unreachable")
            except Exception:  # the outermost loop of a daemon: polls go on
                log.exception("hook_registration_broke")

    async def look(self) -> None:
        """Sees to every server that is due. Raises DatabaseUnavailable."""
        async with self._database.transaction() as connection:
            wanted = await registration(connection)
            servers = [server for server in await all_servers(connection) if server.health in (Health.ONLINE, Health.SUSPECT)]
        # Whoever was away may have restarted: it is seen to as soon as it is back.
        self._checked = {server.id: self._checked[server.id] for server in servers if server.id in self._checked}
        base_url = self._base_url or wanted.base_url
        if wanted.base_url is None or base_url is None:
            return
        due = [(server, urls) for server in servers if self._is_due(server, urls := _urls(server, wanted, base_url))]
        await asyncio.gather(*(self._see_to(server, wanted, urls) for server, urls in due))

    def _is_due(self, server: Server, urls: Mapping[HookForm, str]) -> bool:
        checked = self._checked.get(server.id)
        return checked is None or not checked.is_of(server, urls) or self._clock.monotonic() >= checked.again_at

    async def _see_to(self, server: Server, wanted: Registration, urls: Mapping[HookForm, str]) -> None:
        async with self._places:
            checked = await self._checked_now(server, wanted, urls)
        before = self._checked.get(server.id)
        if checked.reason and (before is None or before.reason != checked.reason):
            event = "server_without_webhooks" if checked.lacks_webhooks else "hooks_not_registered"
            log.warning(event, server=server.id, reason=checked.reason)
        self._checked[server.id] = checked

    async def _checked_now(self, server: Server, wanted: Registration, urls: Mapping[HookForm, str]) -> Checked:
        lacks_webhooks, reason = False, ""
        try:
            await _register(Webhooks(self._client, server, deadline=DEADLINE), server, wanted, urls)
        except NoWebhooks as error:
            lacks_webhooks, reason = True, str(error)
        except ServerFailure as error:
            reason = str(error)
        again = CHECK_RARELY if lacks_webhooks else CHECK_EVERY
        # A server that has nothing of ours, and is to have nothing, is left alone until that changes.
        again_at = self._clock.monotonic() + again if urls or reason else float("inf")
        return Checked(
            url=server.url,
            secret=server.secret,
            wanted=urls,
            again_at=again_at,
            reason=reason,
            lacks_webhooks=lacks_webhooks,
        )


def _urls(server: Server, wanted: Registration, base_url: str) -> dict[HookForm, str]:
    """The addresses that the server is to have, by what it is to bring there."""
    if server.admin_state is AdminState.DISABLED:
        return {}
    return {form: base_url + hook_path(wanted.callback_key, server.id, form) for form in wanted.forms}


async def _register(webhooks: Webhooks, server: Server, wanted: Registration, urls: Mapping[HookForm, str]) -> None:
    """Makes the server's hooks of ours those with the given addresses. Raises ServerFailure."""
    listed = await webhooks.listed()
    right = [hook for hook in listed if urls.get(hook.form) == hook.callback_url and not hook.is_limited]
    wrong = [hook for hook in listed if _is_ours(hook, server, wanted) and hook not in right]
    # A URL has one hook. What is elsewhere goes last, so that nothing is missed: what comes twice is told once.
    in_the_way = [hook for hook in wrong if hook.callback_url in urls.values()]
    await _remove(webhooks, server, in_the_way)
    for form in urls.keys() - {hook.form for hook in right}:
        await webhooks.create(urls[form], form)
        log.info("hook_registered_on_server", server=server.id, form=form)
    await _remove(webhooks, server, [hook for hook in wrong if hook not in in_the_way])


async def _remove(webhooks: Webhooks, server: Server, hooks: Iterable[ServerHook]) -> None:
    for hook in hooks:
        await webhooks.destroy(hook.id)
        log.info("hook_removed_from_server", server=server.id, form=hook.form)


def _is_ours(hook: ServerHook, server: Server, wanted: Registration) -> bool:
    """Whatever address of ours it was registered with: the end of it is ours alone."""
    return any(hook.callback_url.endswith(hook_path(wanted.callback_key, server.id, form)) for form in HookForm)
