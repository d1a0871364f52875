"""What bbb-webhooks and we tell each other: which hooks a server has, and the posts that bring events.

The poller registers our hooks on servers; the gateway reads what comes; `operations` write the same to front ends. The program is
one of its own beside bbb-web, and older ones know the oldest checksum only.
"""

from dataclasses import dataclass, field
from typing import Any

from meetingpool.bbb.answers import Answer, read_answer
from meetingpool.bbb.callbacks import CallbackRefused, Reason, form_fields, read_json
from meetingpool.bbb.checksum import Algorithm
from meetingpool.bbb.client import Client, signed_url
from meetingpool.bbb.errors import RequestRejected, SecretRefused, ServerFailure, UnusableAnswer
from meetingpool.bbb.query import encode
from meetingpool.domain.hooks import HookForm
from meetingpool.domain.servers import Server

_MAX_TIMESTAMP_LENGTH = 32
# In the order in which they are tried.
_ALGORITHMS = (Algorithm.SHA256, Algorithm.SHA1)


class NoWebhooks(ServerFailure):
    """There is no bbb-webhooks on the server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerHook:
    """A hook as a server lists it. `is_limited`: it is for some meeting, or for some events, only."""

    id: str
    callback_url: str = field(repr=False)
    form: HookForm
    is_limited: bool


@dataclass(frozen=True, slots=True)
class HookPost:
    """What one post brings. `events` are whatever was in the list; `timestamp` is in milliseconds, as it was written."""

    events: tuple[Any, ...] = field(repr=False)
    timestamp: str


class Webhooks:
    """The hooks of one server. Every call raises NoWebhooks or another ServerFailure."""

    def __init__(self, client: Client, server: Server, *, deadline: float) -> None:
        """`deadline`: seconds for each call."""
        self._client = client
        self._server = server
        self._deadline = deadline
        self._algorithms: tuple[Algorithm, ...] = _ALGORITHMS

    async def listed(self) -> list[ServerHook]:
        answer = await self._call("hooks/list")
        return [
            ServerHook(
                id=hook.findtext("hookID") or "",
                callback_url=(hook.findtext("callbackURL") or "").strip(),
                form=HookForm.RAW if hook.findtext("rawData") == "true" else HookForm.PROCESSED,
                is_limited=any(hook.findtext(name) for name in ("meetingID", "eventID")),
            )
            for hook in answer.root.iterfind("hooks/hook")
        ]

    async def create(self, callback_url: str, form: HookForm) -> None:
        is_raw = str(form is HookForm.RAW).lower()
        await self._call("hooks/create", ("callbackURL", callback_url), ("getRaw", is_raw))

    async def destroy(self, hook_id: str) -> None:
        await self._call("hooks/destroy", ("hookID", hook_id))

    async def _call(self, call: str, *parameters: tuple[str, str]) -> Answer:
        """The answer to a call that succeeded, signed as the server last understood it."""
        for algorithm in self._algorithms:
            answer = await self._ask(signed_url(self._server.url, self._server.secret, call, parameters, algorithm))
            if answer.succeeded:
                self._algorithms = (algorithm,)
                return answer
            if answer.message_key != "checksumError":
                raise _failure(call, answer)
        raise SecretRefused("its webhooks refuse our secret (checksumError)")

    async def _ask(self, url: str) -> Answer:
        try:
            return read_answer(await self._client.fetch(url, deadline=self._deadline))
        except RequestRejected as error:
            raise NoWebhooks(NoWebhooks.__doc__) from error


def read_hook_post(body: bytes) -> HookPost:
    """What a server's post says. Raises CallbackRefused."""
    fields = dict(form_fields(body))
    timestamp = fields.get("timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _MAX_TIMESTAMP_LENGTH):
        raise CallbackRefused(Reason.UNREADABLE, "timestamp is not a number")
    events = read_json(fields.get("event", "").encode(errors="surrogatepass"))
    # Older ones bring one event without a list around it.
    return HookPost(tuple(events) if isinstance(events, list) else (events,), timestamp)


def hook_post(domain: str, event: str, timestamp: str) -> bytes:
    """The form that brings the `event`, a JSON object, to a front end."""
    return encode([("domain", domain), ("event", f"[{event}]"), ("timestamp", timestamp)]).encode()


def _failure(call: str, answer: Answer) -> ServerFailure:
    if answer.message_key == "unsupportedRequest":
        return NoWebhooks(NoWebhooks.__doc__)
    return UnusableAnswer(f"{call} failed")
