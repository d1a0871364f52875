"""What a page and an action are. The map of them all is `pages.py`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.dashboard.answers import Done, View
from gateway.dashboard.visits import Visit
from meetingpool.domain.access import ApiToken, Permission

Show = Callable[[Visit], Awaitable[View]]
Act = Callable[[Visit], Awaitable[Done | View]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """`label`: its name in the list of pages, "" for one that is found otherwise, `below`: under which it then belongs.

    `topics`: the kinds of notifications after which it may show something else.
    """

    path: str
    permission: Permission
    show: Show
    label: str = ""
    below: str = ""
    topics: frozenset[str] = frozenset()

    def is_for(self, token: ApiToken) -> bool:
        return token.may(self.permission)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Something that is posted. `page`: shown again with what was entered, when it is refused; None: where the form was."""

    path: str
    permission: Permission
    act: Act
    page: Page | None = None
