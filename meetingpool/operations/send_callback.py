"""One attempt to tell a front end or an administrator something: what is sent, and what the answer means.

Used by deliver_callbacks.

Tokens are made now, with the secrets that the front end has now. Of several it may know one only, so they are tried in turn.
Which answers mean what is written in the pages of BBB's own scripts: 2xx is a success, 404 and 410 say that the front end wants
nothing to do with the meeting any more. An end that is not acknowledged is told again whatever the answer was. To bbb-webhooks
401 is a success as well: the event has arrived, and was not wanted. Events are signed with the first secret only. An alert is
signed with the secret of its address.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from meetingpool.bbb.callbacks import end_callback_url, sign_analytics, sign_recording_ready, signed_hook_url
from meetingpool.bbb.checksum import Algorithm
from meetingpool.bbb.webhooks import hook_post
from meetingpool.database.outbox import LEASE_SECONDS, Due
from meetingpool.domain.alerts import SIGNATURE_HEADER, AlertHook, signature
from meetingpool.domain.announcements import AnnouncementState
from meetingpool.domain.callbacks import CallbackKind
from meetingpool.domain.tenants import Tenant
from meetingpool.outward.client import Outward, OutwardRequest
from meetingpool.outward.errors import ForbiddenAddress, NotDelivered

# All secrets together; what remains of the lease is for writing down what came of it.
SEND_SECONDS = LEASE_SECONDS - 15.0

_NOT_WANTED = (404, 410)
_TAKEN_BY_WEBHOOKS = 401
_FORM = ("Content-Type", "application/x-www-form-urlencoded")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt, and the reason if it was no success. Pending: it is to be tried again."""

    state: AnnouncementState
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """What signatures are made with besides secrets. `now` in seconds since 1970."""

    now: float
    hook_algorithm: Algorithm


async def send_callback(outward: Outward, due: Due, recipient: Tenant | AlertHook, signing: Signing) -> Outcome:
    """Tells the recipient what is due. Raises nothing that it could bring about."""
    if isinstance(recipient, AlertHook):
        return await send_alert(outward, recipient, due.payload["body"], now=signing.now)
    return await _outcome(_send(outward, due, recipient, signing))


async def send_alert(outward: Outward, hook: AlertHook, body: str, *, now: float) -> Outcome:
    """Tells the address what an alert says. `now` in seconds since 1970. Raises nothing that the address could bring about."""
    return await _outcome(_send_alert(outward, hook, body.encode(), now))


async def _outcome(sending: Awaitable[Outcome]) -> Outcome:
    try:
        async with asyncio.timeout(SEND_SECONDS):
            return await sending
    except ForbiddenAddress as error:
        return Outcome(AnnouncementState.GIVEN_UP, str(error))
    except NotDelivered as error:
        return Outcome(AnnouncementState.PENDING, str(error))
    except TimeoutError:
        return Outcome(AnnouncementState.PENDING, f"not told within {SEND_SECONDS:g} s")


async def _send(outward: Outward, due: Due, tenant: Tenant, signing: Signing) -> Outcome:
    outcome = Outcome(AnnouncementState.PENDING, "there is no secret to sign it with")
    for request in REQUESTS[due.kind](due, tenant, signing):
        outcome = _judged(due.kind, (await outward.send(request)).status)
        if outcome.state is not AnnouncementState.PENDING:
            break
    return outcome


async def _send_alert(outward: Outward, hook: AlertHook, body: bytes, now: float) -> Outcome:
    headers = (("Content-Type", "application/json"), (SIGNATURE_HEADER, signature(hook.secret, body, now)))
    status = (await outward.send(OutwardRequest(method="POST", url=hook.url, headers=headers, body=body))).status
    state = AnnouncementState.DELIVERED if 200 <= status < 300 else AnnouncementState.PENDING
    return Outcome(state, f"the address answered with status {status}")


def _judged(kind: CallbackKind, status: int) -> Outcome:
    if 200 <= status < 300 or (kind is CallbackKind.HOOK_EVENT and status == _TAKEN_BY_WEBHOOKS):
        return Outcome(AnnouncementState.DELIVERED)
    is_signed = kind in (CallbackKind.RECORDING_READY, CallbackKind.ANALYTICS)
    state = AnnouncementState.REFUSED if is_signed and status in _NOT_WANTED else AnnouncementState.PENDING
    return Outcome(state, f"the front end answered with status {status}")


def _meeting_ended(due: Due, tenant: Tenant, _signing: Signing) -> list[OutwardRequest]:
    return [OutwardRequest(method="GET", url=due.url, only_hosts=tenant.callback_hosts)]


def _end_callback(due: Due, tenant: Tenant, _signing: Signing) -> list[OutwardRequest]:
    url = end_callback_url(due.url, recordingmarks=due.payload["has_recording_marks"], meeting_id=due.meeting_id)
    return [OutwardRequest(method="GET", url=url, only_hosts=tenant.callback_hosts)]


def _recording_ready(due: Due, tenant: Tenant, _signing: Signing) -> list[OutwardRequest]:
    """One for each secret."""
    return [
        OutwardRequest(
            method="POST",
            url=due.url,
            headers=(_FORM,),
            body=sign_recording_ready(meeting_id=due.meeting_id, record_id=due.payload["record_id"], secret=secret),
            only_hosts=tenant.callback_hosts,
        )
        for secret in tenant.secrets
    ]


def _analytics(due: Due, tenant: Tenant, signing: Signing) -> list[OutwardRequest]:
    """One for each secret."""
    return [
        OutwardRequest(
            method="POST",
            url=due.url,
            headers=(
                ("Content-Type", "application/json"),
                ("Authorization", sign_analytics(secret, now=signing.now)),
                ("User-Agent", "BigBlueButton Analytics Callback"),
            ),
            body=due.payload["document"].encode(),
            only_hosts=tenant.callback_hosts,
        )
        for secret in tenant.secrets
    ]


def _hook_event(due: Due, tenant: Tenant, signing: Signing) -> list[OutwardRequest]:
    body = hook_post(due.payload["domain"], due.payload["event"], due.payload["timestamp"])
    return [
        OutwardRequest(
            method="POST",
            url=signed_hook_url(due.url, body, secret, signing.hook_algorithm),
            headers=(_FORM,),
            body=body,
            only_hosts=tenant.callback_hosts,
        )
        for secret in tenant.secrets[:1]
    ]


REQUESTS: dict[CallbackKind, Callable[[Due, Tenant, Signing], list[OutwardRequest]]] = {
    CallbackKind.MEETING_ENDED: _meeting_ended,
    CallbackKind.END_CALLBACK: _end_callback,
    CallbackKind.RECORDING_READY: _recording_ready,
    CallbackKind.ANALYTICS: _analytics,
    CallbackKind.HOOK_EVENT: _hook_event,
}
