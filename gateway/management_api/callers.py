"""Whose request it is: the token in its header, and the address that it comes from."""

from functools import partial

from starlette.requests import Request

from gateway.management_api.admission import TokenRefused
from gateway.management_api.problems import Problem
from gateway.state import Gateway
from meetingpool.domain.access import ApiToken
from meetingpool.operations.api_tokens import token_of

_CHALLENGE = 'Bearer realm="Meetingpool"'


async def caller_of(request: Request, gateway: Gateway) -> ApiToken:
    """Raises Problem, or DatabaseUnavailable."""
    scheme, _, sent = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not sent.strip():
        sentence = "Send a token: Authorization: Bearer mp_…; `meetingpool tokens create` makes one"
        raise Problem(401, "token_needed", sentence, headers={"www-authenticate": _CHALLENGE})
    find = partial(token_of, gateway.management_database)
    try:
        return await gateway.admission.token_of(sent.strip(), address_of(request) or "", gateway.clock.monotonic(), find)
    except TokenRefused as refused:
        raise _refused(refused.retry_after) from None


def address_of(request: Request) -> str | None:
    """As the web server tells it, which believes proxies that it was told to believe."""
    return request.client.host if request.client else None


def _refused(retry_after: int) -> Problem:
    if retry_after:
        sentence = "Too many wrong tokens came from this address: wait, then send the right one"
        return Problem(429, "too_many_wrong_tokens", sentence, headers={"retry-after": str(retry_after)})
    sentence = "This token does not count: it is wrong, was revoked, or is too old"
    return Problem(401, "token_refused", sentence, headers={"www-authenticate": f'{_CHALLENGE}, error="invalid_token"'})
