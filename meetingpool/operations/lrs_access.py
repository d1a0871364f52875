"""What a server needs to send a tenant's learning records: the tenant's password, or a token that Keycloak gives out.

Called by the gateway before a create begins, while nothing is reserved and no transaction is open.
"""

import json
from dataclasses import dataclass, field
from urllib.parse import urlencode

from meetingpool.bbb.lrs import lrs_by_password, lrs_by_token
from meetingpool.domain.tenants import LrsAccess
from meetingpool.outward.client import Outward, OutwardReply, OutwardRequest

_FORM = (("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json"))
# Seconds; longer than this no token is kept, whatever its issuer says.
MAX_LIFETIME = 24 * 3600.0


class NoToken(Exception):
    """The reply to a request for a token holds none."""


@dataclass(frozen=True, slots=True)
class TokenAccess:
    """`access` is JSON; `lifetime` in seconds, 0 when the issuer does not say how long the token is good."""

    access: str = field(repr=False)
    lifetime: float


def password_access(lrs: LrsAccess) -> str:
    """Access by password, as JSON."""
    return lrs_by_password(lrs.endpoint, lrs.username, lrs.password)


async def token_access(outward: Outward, lrs: LrsAccess) -> TokenAccess:
    """Access by a token that is asked for now. Raises OutwardFailure or NoToken, with nothing secret in the sentence.

    Source of the request: OAuth 2.0, the grant by password (RFC 6749, 4.3), as Scalelite sends it to Keycloak.
    """
    form = {
        "client_id": lrs.client_id,
        "client_secret": lrs.client_secret,
        "username": lrs.token_username,
        "password": lrs.token_password,
        "grant_type": "password",
    }
    body = urlencode(form).encode()
    request = OutwardRequest(method="POST", url=lrs.token_url, headers=_FORM, body=body, is_from_administrator=True)
    return _read_token(lrs, await outward.send(request))


def _read_token(lrs: LrsAccess, reply: OutwardReply) -> TokenAccess:
    if reply.status != 200:
        raise NoToken(f"the token URL answers with status {reply.status}")
    try:
        document = json.loads(reply.body)
    except (ValueError, RecursionError):
        raise NoToken("the reply of the token URL is not JSON") from None
    token = document.get("access_token") if isinstance(document, dict) else None
    if not isinstance(token, str) or not token:
        raise NoToken("the reply of the token URL has no access_token")
    return TokenAccess(lrs_by_token(lrs.endpoint, token), _lifetime(document.get("expires_in")))


def _lifetime(seconds: object) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return 0.0
    return float(max(0.0, min(seconds, MAX_LIFETIME)))
