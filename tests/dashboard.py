"""Somebody who uses the dashboard without a browser: keeps cookies, follows forms, and reads pages as a parser sees them."""

from dataclasses import dataclass
from typing import Any

import httpx
from lxml import html

from tests.management import ManagedPool

ORIGIN = "http://gateway"
# As browsers send them with a form of the same site.
FROM_OWN_PAGE = {"origin": ORIGIN, "sec-fetch-site": "same-origin"}


def read_page(text: str) -> Any:
    """As a parser sees it. What its paths find is whatever they ask for."""
    return html.fromstring(text)


@dataclass
class Visitor:
    """`http` keeps the session's cookie."""

    http: httpx.AsyncClient

    async def get(self, path: str = "", **request: Any) -> httpx.Response:
        return await self.http.get(f"/dashboard{path}", **request)

    async def see(self, path: str = "") -> Any:
        """The page that is there."""
        answer = await self.get(path)
        assert answer.status_code == 200, answer.text[:2000]
        return read_page(answer.text)

    async def sign_in(self, token: str) -> httpx.Response:
        return await self.http.post("/dashboard/sign-in", data={"token": token}, headers=FROM_OWN_PAGE)

    async def csrf(self) -> str:
        """What this session's forms hold."""
        page = await self.see("/audit")
        return str(page.xpath("//input[@name='csrf']/@value")[0])

    async def post(self, path: str, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
        """A form, sent as its page would."""
        data = {"csrf": await self.csrf(), **fields}
        return await self.http.post(f"/dashboard{path}", data=data, headers=FROM_OWN_PAGE if headers is None else headers)

    async def said(self, answer: httpx.Response) -> str:
        """What the page says to which an answer leads."""
        assert answer.status_code == 303, answer.text[:2000]
        page = read_page((await self.http.get(answer.headers["location"], follow_redirects=True)).text)
        return " ".join(page.xpath("//p[contains(@class, 'said')]//text()"))


def stranger(managed: ManagedPool, address: str = "192.0.2.1", base_url: str = ORIGIN) -> Visitor:
    transport = httpx.ASGITransport(managed.pool.application(managed.gateway), client=(address, 1234))
    return Visitor(httpx.AsyncClient(transport=transport, base_url=base_url))


async def visitor(managed: ManagedPool, caller: str = "admin") -> Visitor:
    """Somebody who is signed in with the token of `caller`."""
    made = stranger(managed)
    answer = await made.sign_in(managed.tokens[caller])
    assert answer.status_code == 303
    return made
