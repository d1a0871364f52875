"""Lists that are longer than a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import urlencode

ROWS = 100

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows(Generic[T]):
    """Those of a page; `total`: of all, None where nobody counted; `newer`, `older`: the queries of the pages beside it."""

    rows: Sequence[T]
    total: int | None = None
    first: int = 1
    newer: str | None = None
    older: str | None = None


def page_of(found: Sequence[T], page: str, asked: Mapping[str, str]) -> Rows[T]:
    """The page with this number of all that was found. `asked`: the query that found it."""
    last = max(1, -(-len(found) // ROWS))
    number = min(max(1, int(page)), last) if page.isascii() and page.isdecimal() and len(page) < 9 else 1
    begin = (number - 1) * ROWS
    return Rows(
        rows=found[begin : begin + ROWS],
        total=len(found),
        first=begin + 1,
        newer=query(asked, page=str(number - 1)) if number > 1 else None,
        older=query(asked, page=str(number + 1)) if number < last else None,
    )


def query(asked: Mapping[str, str], **more: str) -> str:
    """A query with what was asked and more."""
    return "?" + urlencode({name: value for name, value in {**asked, **more}.items() if value})
