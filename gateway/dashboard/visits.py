"""A request of somebody who is signed in: who it is, what they may, and what they sent."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import ImmutableMultiDict
from starlette.requests import Request

from gateway.bodies import read_body
from gateway.state import Gateway
from meetingpool.database.engine import Database, DatabaseUnavailable
from meetingpool.domain.access import ApiToken, Permission
from meetingpool.domain.audit import Actor, ActorKind
from meetingpool.domain.refusals import Invalid, NotFound
from meetingpool.operations.api_tokens import digest_of, signed_in

HOME = "/dashboard"
MAX_FORM_BYTES = 256 * 1024
# A page of the meetings of a large pool, all of them chosen.
MAX_FIELDS = 2000
MAX_DIGITS = 12

Form = ImmutableMultiDict[str, str]


class Forged(Exception):
    """A form that did not come from a page of ours."""


@dataclass(frozen=True, slots=True)
class Visit:
    """`cookie`: the session's secret; `form`: what was posted, empty for one who only looks."""

    request: Request
    gateway: Gateway
    token: ApiToken
    cookie: str = field(repr=False)
    form: Form = field(default_factory=ImmutableMultiDict, repr=False)

    @property
    def database(self) -> Database:
        """The few connections that those who manage have to themselves: they keep no calls waiting."""
        return self.gateway.management_database

    @property
    def actor(self) -> Actor:
        return Actor(kind=ActorKind.DASHBOARD, name=self.token.name, address=address_of(self.request))

    @property
    def csrf(self) -> str:
        """What a form must hold. Whoever does not know the cookie cannot make it."""
        return hmac.new(self.cookie.encode(), b"a form of the dashboard", sha256).hexdigest()

    @property
    def path(self) -> str:
        """Where this is, with its query."""
        query = self.request.url.query
        return self.request.url.path + (f"?{query}" if query else "")

    def may(self, permission: Permission) -> bool:
        return self.token.may(permission)

    def asked(self, name: str) -> str:
        """A parameter of the address, "" where there is none."""
        return self.request.query_params.get(name, "").strip()

    def given(self, name: str) -> str:
        """A field of the form, "" where there is none."""
        return self.form.get(name, "").strip()

    def given_limit(self, name: str) -> int | None:
        """A limit of the form, None where there is none. Raises Invalid."""
        text = self.given(name)
        if text and not (text.isascii() and text.isdecimal() and len(text) < MAX_DIGITS):
            raise Invalid("A limit is a whole number, or nothing for none")
        return int(text) if text else None

    def chosen(self, name: str = "id") -> list[str]:
        """What was ticked. Raises Invalid when that is nothing."""
        if found := list(dict.fromkeys(self.form.getlist(name))):
            return found
        raise Invalid("Choose at least one first")

    def require_tenant(self, tenant: str) -> None:
        """Raises NotFound when that is another tenant's: whoever sees one tenant sees of the others not even that they are."""
        if self.token.tenant not in (None, tenant):
            raise NotFound("There is no such thing")


async def visit_of(request: Request, gateway: Gateway) -> Visit | None:
    """None when nobody is signed in. Raises DatabaseUnavailable when that is not known."""
    cookie = request.cookies.get(cookie_name(request), "")
    if not cookie:
        return None
    digest, now = digest_of(cookie), gateway.clock.monotonic()
    try:
        token = await signed_in(gateway.management_database, cookie)
    except DatabaseUnavailable:
        token = gateway.door.remembered(digest, now) if request.method == "GET" else None
        if token is None:
            raise
        return Visit(request, gateway, token, cookie)
    if token is None:
        gateway.door.forget(digest)
        return None
    gateway.door.remember(digest, token, now)
    return Visit(request, gateway, token, cookie)


async def with_form(visit: Visit) -> Visit:
    """The visit with what was posted. Raises Forged, BodyTooLong or Invalid."""
    form = await read_form(visit.request)
    if not hmac.compare_digest(visit.csrf.encode(), form.get("csrf", "").encode("utf-8", "replace")):
        raise Forged
    return Visit(visit.request, visit.gateway, visit.token, visit.cookie, form)


async def read_form(request: Request) -> Form:
    """What was posted from a page of ours. Raises Forged, BodyTooLong or Invalid."""
    require_own_page(request)
    body = await read_body(request, MAX_FORM_BYTES)
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise Invalid("The form cannot be read") from None
    return ImmutableMultiDict(fields)


def require_own_page(request: Request) -> None:
    """Raises Forged for a form that another site's page sent, by what the browser says of it, or that no browser sent."""
    headers = request.headers
    if site := headers.get("sec-fetch-site"):
        is_own = site == "same-origin"
    else:
        # Browsers say where a form comes from, the older ones and those without https too.
        is_own = bool(headers.get("host")) and urlsplit(headers.get("origin", "")).netloc == headers["host"]
    if not is_own:
        raise Forged


def cookie_name(request: Request) -> str:
    """With https, one that nothing but this host can set."""
    return "__Host-meetingpool" if is_secure(request) else "meetingpool"


def set_cookie(request: Request, name: str, value: str, seconds: int) -> str:
    secure = "; Secure" if is_secure(request) else ""
    return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"


def is_secure(request: Request) -> bool:
    return bool(request.scope["scheme"] == "https")


def address_of(request: Request) -> str | None:
    return request.client.host if request.client else None


def own_path(path: str) -> str:
    """`path` if it leads to a page of the dashboard, else where everybody begins."""
    parts = urlsplit(path) if path.isprintable() and path.isascii() else None
    is_ours = parts and not (parts.scheme or parts.netloc) and (parts.path == HOME or parts.path.startswith(f"{HOME}/"))
    return path if is_ours and "\\" not in path else HOME


def filters_of(visit: Visit, *names: str) -> Mapping[str, str]:
    """The parameters with these names, "" where one is not given."""
    return {name: visit.asked(name) for name in names}
