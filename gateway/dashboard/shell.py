"""What is around every page: the list of pages, who is signed in, what was just done."""

from typing import Any

from starlette.responses import Response

from gateway.dashboard.answers import View, forget_told, page, told
from gateway.dashboard.pages import PAGES
from gateway.dashboard.rendering import Fragments, environment
from gateway.dashboard.site import Page
from gateway.dashboard.visits import Visit, own_path
from meetingpool.domain.access import Permission


def page_answer(visit: Visit, shown: Page | None, view: View, *, status: int = 200, problem: str = "") -> Response:
    """The page as an answer. `problem`: why what was asked for was not done, or is not known; then the page is not live."""
    html, _ = render(visit, shown, view, problem=problem)
    return forget_told(visit.request, page(html, status))


def render(visit: Visit, shown: Page | None, view: View, *, problem: str = "") -> tuple[str, Fragments]:
    """The page, and those parts of it that change while it is looked at."""
    fragments = Fragments()
    is_live = shown is not None and bool(shown.topics) and not problem and visit.request.method == "GET"
    html = (
        environment()
        .get_template(view.template)
        .render(
            **view.values,
            **_around(visit, shown),
            title=view.title,
            live=fragments,
            stream=shown.path if shown and is_live else "",
            told=told(visit),
            problem=problem,
        )
    )
    return html, fragments


def message_page(status: int, title: str, message: str, visit: Visit | None = None) -> Response:
    """A page with one sentence, for somebody who is signed in or for anybody."""
    template = environment().get_template("message.html" if visit else "message_alone.html")
    around = _around(visit, None) | {"live": Fragments(), "stream": "", "told": None, "problem": ""} if visit else {}
    return page(template.render(title=title, message=message, **around), status)


def _around(visit: Visit, shown: Page | None) -> dict[str, Any]:
    posted = visit.request.method == "POST"
    return {
        "visit": visit,
        "pages": [each for each in PAGES if each.label and each.is_for(visit.token)],
        "current": (shown.below or shown.path) if shown else "",
        "csrf": visit.csrf,
        "entered": visit.form,
        # Where a form of this page comes back to.
        "here": own_path(visit.given("to")) if posted else visit.path,
        "may": visit.may,
        "Permission": Permission,
    }
