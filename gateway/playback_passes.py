"""Who has opened a protected recording may go on watching it: a cookie of the browser says so, for one format and some hours.

The cookie proves itself and goes to the format's files only. It says until when; whose recording it is, and which, is in what was
signed, and comes from the request that brings it. Whether the recording is still published is asked of the database each time.
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from meetingpool.clock import Clock

_VALUE = re.compile(r"([1-9][0-9]{0,11})\.([0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A format of a recording, and below which `path` its files are. `tenant`: its id."""

    tenant: str
    record_id: str
    format: str
    prefix: str = ""

    @property
    def path(self) -> str:
        return f"{self.prefix}/{self.format}/{self.record_id}"


class PlaybackPasses:
    """Makes and reads the cookies. `key`: the installation's; `seconds` for which one is good."""

    def __init__(self, key: bytes, clock: Clock, seconds: int) -> None:
        self._key = hmac.digest(key, b"cookies of protected recordings", sha256)
        self._clock = clock
        self._seconds = seconds

    def cookie(self, place: Place, *, is_secure: bool) -> str:
        """The header that gives the browser a pass. `is_secure`: it came by https, so that front ends can embed the player.

        Such a pass is `Partitioned`, for use within that front end only, which browsers allow that refuse other sites' cookies.
        """
        expires_at = int(self._clock.epoch()) + self._seconds
        value = f"{expires_at}.{self._proof(place, expires_at)}"
        kind = "Secure; SameSite=None; Partitioned" if is_secure else "SameSite=Lax"
        return f"{_name(place, is_secure=is_secure)}={value}; Path={place.path}; HttpOnly; {kind}"

    def admit(self, place: Place, cookies: Mapping[str, str]) -> bool:
        """Whether one of the cookies is a pass for the place."""
        return any(self._admits(place, cookies.get(_name(place, is_secure=is_secure), "")) for is_secure in (True, False))

    def _admits(self, place: Place, value: str) -> bool:
        if (found := _VALUE.fullmatch(value)) is None:
            return False
        expires_at = int(found[1])
        return hmac.compare_digest(self._proof(place, expires_at), found[2]) and self._clock.epoch() < expires_at

    def _proof(self, place: Place, expires_at: int) -> str:
        # None of the four can hold a line break.
        signed = "\n".join((place.tenant, place.record_id, place.format, str(expires_at)))
        return hmac.new(self._key, signed.encode(), sha256).hexdigest()


def _name(place: Place, *, is_secure: bool) -> str:
    return f"{'__Secure-' if is_secure else ''}recording_{place.format}_{place.record_id}"
