"""Who may watch: networks that the administrator names, and whoever has a token that may read the pool.

By default this machine. Behind a proxy the address is the one that the proxy tells, as for all requests.
"""

from contextlib import suppress
from functools import partial

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from gateway.client_networks import ClientNetworks
from gateway.management_api.admission import TokenRefused
from gateway.state import Gateway
from meetingpool.database.engine import DatabaseUnavailable
from meetingpool.domain.access import Permission
from meetingpool.operations.api_tokens import token_of

_BEARER = "bearer "


async def may_watch(request: Request, gateway: Gateway) -> bool:
    """By the address, else by the token. While the database is away no token is known."""
    host = request.client.host if request.client else ""
    networks = gateway.settings.metrics_networks
    if networks and ClientNetworks(networks).admit(host):
        return True
    authorization = request.headers.get("authorization", "")
    if not authorization.lower().startswith(_BEARER):
        return False
    find = partial(token_of, gateway.management_database)
    with suppress(DatabaseUnavailable, TokenRefused):
        now = gateway.clock.monotonic()
        token = await gateway.admission.token_of(authorization[len(_BEARER) :].strip(), host, now, find)
        return token.may(Permission.READ_POOL)
    return False


def refusal() -> Response:
    """Says what to do, and nothing of what there is."""
    sentence = "Not from here: send a token that may read the pool, or ask the administrator for METRICS_NETWORKS\n"
    return PlainTextResponse(sentence, status_code=401, headers={"www-authenticate": "Bearer"})
