"""Links that open something once, within some minutes: to protected recordings, and to text tracks.

Nothing is stored when a link is made, since a list of recordings makes one for each: its token proves itself. Using it is what is
stored, by whoever is first.
"""

import hmac
import secrets
import struct
from contextlib import suppress
from hashlib import sha256

from meetingpool.clock import Clock
from meetingpool.database.engine import Database, DatabaseUnavailable
from meetingpool.database.playback import purge_used_links, use_link

_NONCE_BYTES, _EXPIRY, _MAC_BYTES = 12, struct.Struct(">I"), 16
_HEAD_BYTES = _NONCE_BYTES + _EXPIRY.size
TOKEN_LENGTH = 2 * (_HEAD_BYTES + _MAC_BYTES)
_DIGITS = frozenset("0123456789abcdef")
_PURGE_EVERY = 600.0


def playing(record_id: str, format_name: str) -> str:
    """What a token opens that is for a recording's format."""
    return f"recording:{record_id}/{format_name}"


class PlaybackLinks:
    """Makes and uses tokens. `key`: the installation's. What a token opens is named by a text that both sides agree on."""

    def __init__(self, key: bytes, clock: Clock) -> None:
        self._key = hmac.digest(key, b"links that open once", sha256)
        self._clock = clock
        self._purged_at = clock.monotonic()

    def token_for(self, what: str, seconds: int) -> str:
        """64 lower-case hexadecimal digits that open `what` once within `seconds`."""
        head = secrets.token_bytes(_NONCE_BYTES) + _EXPIRY.pack(int(self._clock.epoch()) + seconds)
        return (head + self._mac(head, what)).hex()

    def opens(self, what: str, token: str) -> bool:
        """Whether the token was made for `what` and is not too old. It may have been used."""
        return self._expiry_of(what, token) is not None

    async def use(self, database: Database, what: str, token: str) -> bool:
        """Whether the token opens `what`, which it does for one caller only. Raises DatabaseUnavailable."""
        expires_at = self._expiry_of(what, token)
        if expires_at is None or not await use_link(database, bytes.fromhex(token), expires_at):
            return False
        await self._purge(database)
        return True

    def _expiry_of(self, what: str, token: str) -> int | None:
        """Until when the token opens `what`, in seconds since 1970; None if it does not."""
        if len(token) != TOKEN_LENGTH or not _DIGITS.issuperset(token):
            return None
        content = bytes.fromhex(token)
        head, mac = content[:_HEAD_BYTES], content[_HEAD_BYTES:]
        if not hmac.compare_digest(self._mac(head, what), mac):
            return None
        (expires_at,) = _EXPIRY.unpack(head[_NONCE_BYTES:])
        return expires_at if self._clock.epoch() < expires_at else None

    def _mac(self, head: bytes, what: str) -> bytes:
        return hmac.digest(self._key, head + what.encode(), sha256)[:_MAC_BYTES]

    async def _purge(self, database: Database) -> None:
        if self._clock.monotonic() < self._purged_at + _PURGE_EVERY:
            return
        self._purged_at = self._clock.monotonic()
        # Whoever used a link must not hear of it: the link is used up.
        with suppress(DatabaseUnavailable):
            await purge_used_links(database, self._clock.epoch())
