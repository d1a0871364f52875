"""The dashboard as an application: routes made of the map of pages, what stands before each, and what becomes of refusals.

Loaded by `entrance.py` when somebody first looks.
"""

from collections.abc import Awaitable, Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from gateway.bodies import BodyTooLong
from gateway.dashboard.answers import Done, View, redirect, told_on
from gateway.dashboard.files import static_file
from gateway.dashboard.live import stream
from gateway.dashboard.pages import ACTIONS, PAGES
from gateway.dashboard.paging import query
from gateway.dashboard.pool import show_pool
from gateway.dashboard.recordings import where_played
from gateway.dashboard.sessions import sign_in, sign_in_page, sign_out
from gateway.dashboard.shell import message_page, page_answer
from gateway.dashboard.site import Action, Page
from gateway.dashboard.usage import usage_csv
from gateway.dashboard.visits import HOME, Forged, Visit, own_path, visit_of, with_form
from gateway.state import Gateway
from meetingpool.database.engine import DatabaseUnavailable
from meetingpool.domain.access import ApiToken, Permission
from meetingpool.domain.refusals import Invalid, NotFound, Refusal
from meetingpool.logs import get_logger

Endpoint = Callable[[Request], Awaitable[Response]]
Answer = Callable[[Visit], Awaitable[Response]]

AWAY = "The database does not answer. Meetings that run go on, and people get into them; changes wait until it is back."
FORGED = "This form is too old, or did not come from a page of ours. Nothing is changed: go back, load the page anew, try again."
ELSEWHERE = "The dashboard may not be used from your network. MEETINGPOOL_MANAGEMENT_NETWORKS says from which it may."
FORBIDDEN = "Your token does not allow this. An administrator can give you another one."

log = get_logger()


def _for_visitors(answer: Answer) -> Endpoint:
    """The endpoint for people who are signed in; others are asked to."""

    async def endpoint(request: Request) -> Response:
        gateway: Gateway = request.state.gateway
        try:
            visit = await visit_of(request, gateway)
            if visit is None:
                return redirect(f"{HOME}/sign-in{_to(request)}")
            return await answer(visit)
        except DatabaseUnavailable:
            return message_page(503, "The database is away", AWAY)
        except Forged:
            log.warning("dashboard_form_refused", path=request.url.path, address=request.client and request.client.host)
            return message_page(403, "Nothing is changed", FORGED)
        except BodyTooLong:
            return message_page(413, "Nothing is changed", "What was sent is too long.")

    return endpoint


async def _show(page: Page, visit: Visit) -> Response:
    if not page.is_for(visit.token):
        first = first_page(visit.token)
        return redirect(first.path) if page.path == HOME and first else message_page(403, "Not for you", FORBIDDEN, visit)
    try:
        return page_answer(visit, page, await page.show(visit))
    except NotFound as error:
        return message_page(404, "Not there", str(error), visit)
    except DatabaseUnavailable:
        # What this process knows of the pool is better than nothing.
        if not visit.may(Permission.READ_POOL):
            raise
        return page_answer(visit, PAGES[0], await show_pool(visit), status=503, problem=AWAY)


async def _act(action: Action, visit: Visit) -> Response:
    visit = await with_form(visit)
    if not visit.may(action.permission):
        return message_page(403, "Nothing is changed", FORBIDDEN, visit)
    back = own_path(visit.given("to"))
    try:
        done = await action.act(visit)
    except Refusal as error:
        if action.page is None:
            return told_on(visit, Done(message=str(error), is_refused=True), back)
        return await _refused(action.page, visit, error)
    if isinstance(done, View):
        return page_answer(visit, None, done)
    return told_on(visit, done, done.to or back)


async def _refused(page: Page, visit: Visit, error: Refusal) -> Response:
    """The page of a form, as it was filled in, with what is wrong."""
    try:
        view = await page.show(visit)
    except NotFound:
        return message_page(404, "Not there", str(error), visit)
    return page_answer(visit, page, view, status=422 if isinstance(error, Invalid) else 409, problem=str(error))


async def _stream(visit: Visit) -> Response:
    return stream(visit)


async def _usage_csv(visit: Visit) -> Response:
    if not visit.may(Permission.READ_USAGE):
        return message_page(403, "Not for you", FORBIDDEN, visit)
    try:
        return await usage_csv(visit)
    except Invalid as error:
        return message_page(422, "Not understood", str(error), visit)


async def _play(visit: Visit) -> Response:
    if not visit.may(Permission.READ_RECORDINGS):
        return message_page(403, "Not for you", FORBIDDEN, visit)
    try:
        answer = redirect(await where_played(visit))
    except NotFound as error:
        return message_page(404, "Not there", str(error), visit)
    answer.headers["referrer-policy"] = "no-referrer"
    return answer


def first_page(token: ApiToken) -> Page | None:
    """Where somebody with this token begins."""
    return next((page for page in PAGES if page.label and page.is_for(token)), None)


def _to(request: Request) -> str:
    """What brings somebody back, once signed in, to where they wanted to be."""
    if request.method != "GET" or request.url.path == HOME:
        return ""
    asked = f"?{request.url.query}" if request.url.query else ""
    return query({"to": request.url.path + asked})


def _routes() -> list[Route]:
    return [
        Route(f"{HOME}/static/{{digest}}/{{name}}", static_file),
        Route(f"{HOME}/sign-in", sign_in_page, methods=["GET"]),
        Route(f"{HOME}/sign-in", sign_in, methods=["POST"]),
        Route(f"{HOME}/sign-out", _for_visitors(sign_out), methods=["POST"]),
        Route(f"{HOME}/events", _for_visitors(_stream), methods=["GET"]),
        Route(f"{HOME}/usage.csv", _for_visitors(_usage_csv), methods=["GET"]),
        Route(f"{HOME}/recordings/play", _for_visitors(_play), methods=["GET"]),
        *(Route(page.path, _for_visitors(partial(_show, page)), methods=["GET"]) for page in PAGES),
        *(Route(action.path, _for_visitors(partial(_act, action)), methods=["POST"]) for action in ACTIONS),
    ]


async def _elsewhere(visit: Visit) -> Response:
    return message_page(404, "Not there", "There is no such page.", visit)


_router = Router([*_routes(), Route(f"{HOME}/{{rest:path}}", _for_visitors(_elsewhere))], redirect_slashes=False)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """All of the dashboard, for the networks that may use it."""
    gateway: Gateway = scope["state"]["gateway"]
    if gateway.admission.networks.admit(scope["client"][0] if scope.get("client") else None):
        await _router(scope, receive, send)
    else:
        await message_page(403, "Not from here", ELSEWHERE)(scope, receive, send)
