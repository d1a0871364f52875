"""Signing in with a token, and out again."""

from math import ceil

from starlette.requests import Request
from starlette.responses import Response

from gateway.bodies import BodyTooLong
from gateway.dashboard.answers import page, redirect
from gateway.dashboard.rendering import environment
from gateway.dashboard.visits import (
    HOME,
    Forged,
    Visit,
    address_of,
    cookie_name,
    own_path,
    read_form,
    set_cookie,
    visit_of,
    with_form,
)
from gateway.state import Gateway
from gateway.throttle import source_of
from meetingpool.database.engine import DatabaseUnavailable
from meetingpool.domain.access import Role
from meetingpool.domain.audit import Actor, ActorKind
from meetingpool.domain.refusals import Invalid
from meetingpool.logs import get_logger
from meetingpool.operations import api_tokens
from meetingpool.operations.changes import changing

WRONG = "No token that counts is like this. Tokens begin with mp_; whoever made it sees in the list of tokens whether it counts."

log = get_logger()


async def sign_in_page(request: Request) -> Response:
    try:
        if await visit_of(request, request.state.gateway):
            return redirect(own_path(request.query_params.get("to", HOME)))
    except DatabaseUnavailable:
        return _form(request, 503, "The database does not answer: try again in a moment.")
    return _form(request, 200)


async def sign_in(request: Request) -> Response:
    gateway: Gateway = request.state.gateway
    source, now = source_of(address_of(request) or ""), gateway.clock.monotonic()
    if wait := gateway.door.wrong_tokens.retry_after(source, now):
        answer = _form(request, 429, f"Too many wrong tokens came from your address. Try again in {ceil(wait)} seconds.")
        answer.headers["retry-after"] = str(ceil(wait))
        return answer
    try:
        form = await read_form(request)
        cookie = await _begin(request, gateway, form.get("token", "").strip())
    except (Forged, BodyTooLong, Invalid):
        return _form(request, 403, "This form did not come from this page: load it anew, and try again.")
    except DatabaseUnavailable:
        return _form(request, 503, "The database does not answer: try again in a moment.")
    if cookie is None:
        gateway.door.wrong_tokens.note_failure(source, now)
        log.warning("dashboard_token_refused", address=source)
        return _form(request, 401, WRONG)
    answer = redirect(own_path(form.get("to", HOME)))
    seconds = int(api_tokens.SESSION_LASTS.total_seconds())
    answer.headers["set-cookie"] = set_cookie(request, cookie_name(request), cookie, seconds)
    return answer


async def sign_out(visit: Visit) -> Response:
    """Raises Forged."""
    visit = await with_form(visit)
    async with changing(visit.database, visit.actor) as change:
        await api_tokens.sign_out(change, visit.cookie)
    visit.gateway.door.forget(api_tokens.digest_of(visit.cookie))
    answer = redirect(f"{HOME}/sign-in")
    answer.headers["set-cookie"] = set_cookie(visit.request, cookie_name(visit.request), "", 0)
    return answer


async def _begin(request: Request, gateway: Gateway, plain: str) -> str | None:
    """The cookie of a new session; None when the token does not count, or is a server's, for whom there is no page."""
    token = await api_tokens.token_of(gateway.management_database, plain)
    if token is None or token.role is Role.SERVER:
        return None
    actor = Actor(kind=ActorKind.DASHBOARD, name=token.name, address=address_of(request))
    async with changing(gateway.management_database, actor) as change:
        return await api_tokens.sign_in(change, token)


def _form(request: Request, status: int, message: str = "") -> Response:
    to = own_path(request.query_params.get("to", HOME))
    return page(environment().get_template("sign_in.html").render(title="Sign in", message=message, to=to), status)
