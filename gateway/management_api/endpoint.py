"""What an endpoint is. Its handler's signature says what is asked and answered, for the decoder as for the document.

Of a handler's parameters, `query` and `body` are msgspec structures, and those that the path names are parts of it.
"""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypedDict, TypeVar, get_type_hints

import msgspec

from meetingpool.domain.access import Permission

T = TypeVar("T")

Handler = Callable[..., Awaitable[Any]]

# The ids of rows.
MAX_ID = 2**63 - 1


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing is to be said."""


class Changing(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The query of what changes something. With `dry_run`, all is checked and answered, and nothing is changed."""

    dry_run: bool = False


class Page(TypedDict, Generic[T]):
    """A list. `next`: the `cursor` of what follows; null when there is no more."""

    items: list[T]
    next: str | None


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One method of one path. `permission`: what the token needs; None where any will do."""

    method: str
    path: str
    permission: Permission | None
    handler: Handler
    status: int = 200

    def status_of(self, answered: Any) -> int:
        """The status of what is answered: that of the endpoint, unless what it creates was there already."""
        was_there = isinstance(answered, dict) and answered.get("is_new") is False
        return 200 if was_there else self.status

    @property
    def noun(self) -> str:
        """What it is about: the first part of its path."""
        return self.path.split("/")[1]

    @property
    def name(self) -> str:
        return self.handler.__name__

    @property
    def summary(self) -> str:
        return _paragraphs(self.handler)[0]

    @property
    def remarks(self) -> list[str]:
        """What else there is to say of it and of its query."""
        return [*_paragraphs(self.handler)[1:], *(_paragraphs(self.query) if self.has_query else [])]

    @property
    def description(self) -> str:
        needed = f"Needs the permission `{self.permission}`." if self.permission else "Any token will do."
        return " ".join([*self.remarks, needed])

    @property
    def changes(self) -> bool:
        return self.method != "GET"

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self.handler, include_extras=True)

    @cached_property
    def parts(self) -> dict[str, Any]:
        """The types of the parts of the path that differ, by their names."""
        names = (part[1:-1] for part in self.path.split("/") if part.startswith("{"))
        return {name: self._hints[name] for name in names}

    @property
    def query(self) -> Any:
        """The type of its query."""
        return self._hints.get("query", Changing if self.changes else Nothing)

    @property
    def has_query(self) -> bool:
        return "query" in self._hints

    @property
    def body(self) -> Any | None:
        """The type of its body; None where there is none to be said."""
        return self._hints.get("body")

    @property
    def answer(self) -> Any:
        """The type of what it answers."""
        return self._hints["return"]


def _paragraphs(documented: Any) -> list[str]:
    """Of its docstring, each as one line."""
    return [" ".join(paragraph.split()) for paragraph in (inspect.getdoc(documented) or "").split("\n\n")]
