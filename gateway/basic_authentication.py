"""Lets in who knows a password, by HTTP's basic authentication (RFC 7617). Used by the dial-in."""

import base64
import binascii
import hmac
from math import ceil

from starlette.responses import PlainTextResponse, Response

from gateway.throttle import Throttle, source_of
from meetingpool.logs import get_logger

WRONG_PASSWORDS_A_MINUTE = 10
# Short, as whoever puts a wrong password right waits for it too.
LONGEST_WAIT = 60.0

log = get_logger()


class BasicAuthentication:
    """One user's password. "" lets everybody in, None nobody."""

    def __init__(self, *, user: str, password: str | None, realm: str) -> None:
        self._is_open = password == ""
        self._expected = f"{user}:{password}".encode() if password else None
        self._challenge = f'Basic realm="{realm}", charset="UTF-8"'
        self._wrong_passwords = Throttle(limit=WRONG_PASSWORDS_A_MINUTE, window=60.0, longest=LONGEST_WAIT)

    def turn_away(self, authorization: str | None, host: str, now: float) -> Response | None:
        """The refusal, unless the header `authorization` of a request from the address `host` holds the password.

        An address that was wrong too often is not heard at all for a while, or it could try on.
        """
        if self._is_open:
            return None
        source = source_of(host)
        if wait := self._wrong_passwords.retry_after(source, now):
            return self._refusal(429, {"retry-after": str(ceil(wait))})
        if authorization and self._is_right(authorization):
            return None
        if authorization:
            self._wrong_passwords.note_failure(source, now)
            log.warning("password_refused", address=source, one_is_set=self._expected is not None)
        return self._refusal(401, {"www-authenticate": self._challenge})

    def _is_right(self, authorization: str) -> bool:
        given = _credentials(authorization)
        # Without a password the comparison takes as long as with one.
        return hmac.compare_digest(given, self._expected or b"") and self._expected is not None

    def _refusal(self, status: int, headers: dict[str, str]) -> Response:
        return PlainTextResponse("HTTP Basic: Access denied.\n", status, {**headers, "cache-control": "no-store"})


def _credentials(authorization: str) -> bytes:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""
