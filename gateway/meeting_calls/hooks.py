"""hooks/create, list, destroy and ping: webhooks, which on a server are the business of bbb-webhooks.

Here they are kept for the whole pool: the poller registers one of ours on every server, and what servers bring is told to those
who asked for it. A front end sees its own webhooks only. docs/webhooks.md.
"""

import uuid

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from gateway.answers import xml_answer
from gateway.authentication import Call
from gateway.state import Gateway
from meetingpool.bbb import xml
from meetingpool.bbb.errors import HookNotCreated, MissingCallbackURL, MissingHookID, NoSuchHook
from meetingpool.database.hooks import MAX_PER_TENANT, TooManyHooks, delete_hook, hooks_of, keep_hook
from meetingpool.domain.hooks import Hook, HookForm, read_event_ids
from meetingpool.domain.tenants import Tenant
from meetingpool.logs import get_logger
from meetingpool.outward.errors import ForbiddenAddress
from meetingpool.outward.targets import require_allowed

MAX_URL_BYTES = 2048
MAX_ID_LENGTH = 256
MAX_EVENT_IDS = 100

_SUCCESS: xml.Field = ("returncode", "SUCCESS")

log = get_logger()


async def create_hook(gateway: Gateway, call: Call) -> Response:
    """A URL has one webhook: a repeat finds it and changes nothing."""
    hook = _asked_for(call)
    _require_callable(gateway, call.tenant, hook.callback_url)
    base_url = gateway.tenants.base_url(call.request)
    try:
        async with gateway.database.transaction() as connection:
            kept = await keep_hook(connection, hook, base_url=base_url)
    except TooManyHooks:
        raise HookNotCreated(f"There are {MAX_PER_TENANT} hooks already; remove one with hooks/destroy.") from None
    if kept is not hook:
        return xml_answer(_duplicate(kept))
    log.info("hook_created", hook=hook.id, tenant=hook.tenant, form=hook.form)
    return xml_answer(xml.response(_SUCCESS, ("hookID", hook.id), *_kind(hook)))


async def list_hooks(gateway: Gateway, call: Call) -> Response:
    """All webhooks of the tenant, or those that hear of one meeting."""
    meeting_id = call.text("meetingID")
    async with gateway.database.transaction() as connection:
        hooks = await hooks_of(connection, call.tenant.id)
    listed = [hook for hook in hooks if meeting_id is None or hook.meeting_id in (None, meeting_id)]
    return xml_answer(xml.response(_SUCCESS, ("hooks", tuple(("hook", _described(hook)) for hook in listed))))


async def destroy_hook(gateway: Gateway, call: Call) -> Response:
    hook_id = call.text("hookID")
    if hook_id is None:
        raise MissingHookID
    async with gateway.database.transaction() as connection:
        was_there = await delete_hook(connection, call.tenant.id, hook_id)
    if not was_there:
        raise NoSuchHook
    log.info("hook_destroyed", hook=hook_id, tenant=call.tenant.id)
    return xml_answer(xml.response(_SUCCESS, ("removed", True)))


async def ping_hooks(_: Request) -> Response:
    """Asked without a checksum."""
    return PlainTextResponse("bbb-webhooks API up!")


def _asked_for(call: Call) -> Hook:
    callback_url = call.text("callbackURL")
    if callback_url is None:
        raise MissingCallbackURL
    meeting_id, event_ids = call.text("meetingID"), read_event_ids(call.text("eventID") or "")
    if max(map(len, (meeting_id or "", *event_ids))) > MAX_ID_LENGTH or len(event_ids) > MAX_EVENT_IDS:
        raise HookNotCreated(f"An ID must be of at most {MAX_ID_LENGTH} characters, and eventID of {MAX_EVENT_IDS} IDs.")
    return Hook(
        id=str(uuid.uuid4()),
        tenant=call.tenant.id,
        callback_url=callback_url,
        meeting_id=meeting_id,
        event_ids=event_ids,
        form=HookForm.RAW if (call.text("getRaw") or "").lower() == "true" else HookForm.PROCESSED,
    )


def _require_callable(gateway: Gateway, tenant: Tenant, callback_url: str) -> None:
    """Raises HookNotCreated for an address that would never be called."""
    if len(callback_url.encode()) > MAX_URL_BYTES:
        raise HookNotCreated(f"The callbackURL is longer than {MAX_URL_BYTES} bytes.")
    try:
        require_allowed(callback_url, gateway.placer.callback_allow, tenant.callback_hosts)
    except ForbiddenAddress as error:
        raise HookNotCreated(f"The callbackURL cannot be called: {error}.") from None


def _duplicate(hook: Hook) -> bytes:
    message = "There is already a hook for this callback URL."
    return xml.response(_SUCCESS, ("hookID", hook.id), ("messageKey", "duplicateWarning"), ("message", message))


def _described(hook: Hook) -> list[xml.Field]:
    return [
        ("hookID", hook.id),
        ("callbackURL", hook.callback_url),
        *([("meetingID", hook.meeting_id)] if hook.meeting_id else []),
        *([("eventID", ",".join(hook.event_ids))] if hook.event_ids else []),
        *_kind(hook),
    ]


def _kind(hook: Hook) -> list[xml.Field]:
    # Permanent ones are for those who configure a server.
    return [("permanentHook", False), ("rawData", hook.form is HookForm.RAW)]
