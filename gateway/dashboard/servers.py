"""A server's page, and what is done to servers."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from operator import itemgetter
from typing import Any
from urllib.parse import quote

from gateway.dashboard.answers import Done, View
from gateway.dashboard.charts import Series
from gateway.dashboard.history import DAY, HOUR, begin_of, values_of
from gateway.dashboard.visits import HOME, Visit
from meetingpool.database.meetings import meetings_on
from meetingpool.database.overviews import age_of_history, samples, trouble_of
from meetingpool.domain.access import Permission
from meetingpool.domain.refusals import Invalid
from meetingpool.domain.server_limits import LIMITS
from meetingpool.domain.servers import AdminState, Server
from meetingpool.operations import add_server as adding
from meetingpool.operations import change_server as changing_server
from meetingpool.operations import change_server_state, panic_server
from meetingpool.operations.changes import changing
from meetingpool.operations.default_limits import default_limits
from meetingpool.operations.find_server import server_named
from meetingpool.operations.poll_rules import poll_rules
from meetingpool.operations.poll_server import ServerPoller
from meetingpool.operations.record_polls import Poll, record_polls
from meetingpool.operations.records import meeting_record, tenant_names

SPANS = {"1h": HOUR, "24h": (DAY[0], timedelta(minutes=10)), "7d": (timedelta(days=7), timedelta(hours=2))}
STATES = {"enable": AdminState.ENABLED, "cordon": AdminState.CORDONED, "disable": AdminState.DISABLED}


async def show_server(visit: Visit) -> View:
    """Raises NoSuchServer."""
    async with visit.database.transaction() as connection:
        server = await server_named(connection, visit.request.path_params["server"])
        trouble = await trouble_of(connection, server.id)
        meetings, tenants = await meetings_on(connection, server.id), await tenant_names(connection)
        span = _span(visit.asked("span"), "1h" if await age_of_history(connection) < timedelta(hours=2) else "24h")
        whole, step = SPANS[span]
        begin = begin_of(visit, whole, step)
        seen = (await samples(connection, begin, begin + whole, step, server.id)).get(server.id, {})
    values: dict[str, Any] = {
        "server": server,
        "limited": default_limits(visit.gateway.settings).fill_in(server),
        "trouble": trouble,
        "meetings": [meeting_record(meeting, tenants) for meeting in meetings],
        "span": span,
        "spans": SPANS,
        "charts": [
            Series(name=name, begin=begin, step=step, values=values_of(seen, int(whole / step), value))
            for name, value in {"people": itemgetter(0), "load": itemgetter(1)}.items()
        ],
    }
    return View(template="server.html", title=server.host_name, values=values)


async def show_new_server(_visit: Visit) -> View:
    return View(template="new_server.html", title="Add a server")


async def add_server(visit: Visit) -> Done:
    """Raises InvalidServer or ServerExists, and ServerNotReached when it is to be enabled: then it is added, but disabled."""
    server = adding.new_server(
        visit.given("url"),
        visit.given("secret"),
        server_id=visit.given("id") or None,
        id_is_host_name=visit.gateway.settings.server_id_is_hostname,
        **_described(visit),
    )
    async with changing(visit.database, visit.actor) as change:
        await adding.add_server(change, server)
    to = address_of_server(server)
    if not visit.given("enable"):
        return Done(message=f"Server {server.id} is added, and disabled until you enable it", to=to)
    poll = await _poll(visit, server)
    async with changing(visit.database, visit.actor) as change:
        await adding.enable_reached(change, server, poll, poll_rules(visit.gateway.settings), visit.gateway.clock)
    try:
        adding.require_reached(server, poll)
    except adding.ServerNotReached as error:
        return Done(message=str(error), to=to, is_refused=True)
    return Done(message=f"Server {server.id} is added and enabled: {_seen(poll)}", to=to)


async def set_server(visit: Visit) -> Done:
    """Raises NoSuchServer, InvalidServer or ServerExists; Invalid for what only those may change who add servers."""
    ours = {name: visit.given(name) or None for name in ("url", "secret")}
    if any(ours.values()) and not visit.may(Permission.ADD_AND_REMOVE_SERVERS):
        raise Invalid("The address and the secret of a server are changed by administrators")
    given = _described(visit) | ours
    values = changing_server.checked_values(**given)
    async with changing(visit.database, visit.actor) as change:
        server = await changing_server.change_server(change, visit.request.path_params["server"], values)
    return Done(message=f"Server {server.id} is changed", to=address_of_server(server))


def changing_to(state: AdminState) -> Callable[[Visit], Awaitable[Done]]:
    """The action that gives a server this state."""

    async def change_state(visit: Visit) -> Done:
        async with changing(visit.database, visit.actor) as change:
            server = await change_server_state.change_state(change, visit.request.path_params["server"], state)
        was = "already" if server.admin_state is state else f"and was {server.admin_state}"
        return Done(message=f"Server {server.id} is {state} {was}")

    return change_state


async def poll_now(visit: Visit) -> Done:
    """Raises NoSuchServer."""
    async with visit.database.transaction() as connection:
        server = await server_named(connection, visit.request.path_params["server"])
    poll = await _poll(visit, server)
    async with visit.database.transaction() as connection:
        await record_polls(connection, {server.id: poll}, poll_rules(visit.gateway.settings), visit.gateway.clock, panic=False)
    if poll.meetings is None:
        return Done(message=f"Server {server.id} does not answer: {poll.error}", is_refused=True)
    return Done(message=f"Server {server.id} answers: {_seen(poll)}")


async def panic(visit: Visit) -> Done:
    """Raises NoSuchServer."""
    _require_typed(visit)
    gateway = visit.gateway
    panicked = await panic_server.panic_server(
        visit.database,
        gateway.client,
        gateway.clock,
        visit.actor,
        visit.request.path_params["server"],
        keep_state=bool(visit.given("keep_state")),
    )
    left = f", {len(panicked.not_ended)} of them were not ended and may run on" if panicked.not_ended else ""
    return Done(message=f"Server {panicked.server.id} is given up: {panicked.forgotten} meetings are forgotten{left}")


async def remove_server(visit: Visit) -> Done:
    """Raises NoSuchServer or MeetingsRunning."""
    _require_typed(visit)
    async with changing(visit.database, visit.actor) as change:
        server = await change_server_state.remove_server(change, visit.request.path_params["server"])
    return Done(message=f"Server {server.id} is removed", to=HOME)


def address_of_server(server: Server) -> str:
    return f"{HOME}/servers/{quote(server.id, safe='')}"


def _described(visit: Visit) -> dict[str, Any]:
    """What is said of a server, by the names of its columns. Raises Invalid."""
    try:
        multiplier = float(visit.given("load_multiplier") or 1)
    except ValueError:
        raise Invalid("The load multiplier must be a number greater than 0; 2 makes each meeting count twice") from None
    tags = [tag.strip() for tag in visit.given("tags").split(",") if tag.strip()]
    limits = {name: visit.given_limit(name) for name in LIMITS if name in visit.form}
    return {"load_multiplier": multiplier, "tags": tags, "region": visit.given("region"), "limits": limits}


async def _poll(visit: Visit, server: Server) -> Poll:
    gateway = visit.gateway
    return await ServerPoller(gateway.client, gateway.clock, deadline=gateway.settings.response_timeout).poll(server)


def _seen(poll: Poll) -> str:
    meetings = poll.meetings or ()
    people = sum(meeting.users for meeting in meetings)
    return f"BigBlueButton {poll.bbb_version or 'of an unknown version'}, {len(meetings)} meetings, {people} people"


def _require_typed(visit: Visit) -> None:
    if visit.given("typed") != visit.request.path_params["server"]:
        raise Invalid("Type the server's id, as it stands there, to say that you mean it")


def _span(asked: str, default: str) -> str:
    return asked if asked in SPANS else default
