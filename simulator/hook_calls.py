"""The calls of bbb-webhooks, a program of its own beside bbb-web: register a webhook, list them, remove one, is it up?"""

from collections.abc import Mapping

from meetingpool.bbb import xml
from simulator.hooks import Hook
from simulator.refusals import MissingCallbackURL, MissingHookID, NoSuchHook
from simulator.replies import Reply, text_reply, xml_reply
from simulator.server import SimulatedServer

_SUCCESS: xml.Field = ("returncode", "SUCCESS")


def create(server: SimulatedServer, parameters: Mapping[str, str]) -> Reply:
    """A URL has one hook: a repeat finds it and changes nothing. Raises MissingCallbackURL."""
    callback_url = parameters.get("callbackURL", "")
    if not callback_url:
        raise MissingCallbackURL
    if existing := next((hook for hook in server.hooks.values() if hook.callback_url == callback_url), None):
        return xml_reply(_duplicate_document(existing))
    hook = server.add_hook(
        callback_url,
        meeting_id=parameters.get("meetingID") or None,
        event_ids=tuple(filter(None, parameters.get("eventID", "").lower().split(","))),
        wants_raw=parameters.get("getRaw", "").lower() == "true",
    )
    return xml_reply(xml.response(_SUCCESS, ("hookID", hook.id), *_kind_fields(hook)))


def list_hooks(server: SimulatedServer, parameters: Mapping[str, str]) -> Reply:
    """All hooks, or those that hear of one meeting."""
    meeting_id = parameters.get("meetingID", "")
    listed = [hook for hook in server.hooks.values() if not meeting_id or hook.meeting_id in (None, meeting_id)]
    return xml_reply(xml.response(_SUCCESS, ("hooks", tuple(("hook", _hook_fields(hook)) for hook in listed))))


def destroy(server: SimulatedServer, parameters: Mapping[str, str]) -> Reply:
    """Raises MissingHookID, or NoSuchHook, which a permanent hook is for this call too."""
    hook_id = parameters.get("hookID", "")
    if not hook_id:
        raise MissingHookID
    hook = server.hooks.get(hook_id)
    if hook is None or hook.is_permanent:
        raise NoSuchHook
    del server.hooks[hook_id]
    return xml_reply(xml.response(_SUCCESS, ("removed", True)))


def ping(_: SimulatedServer, __: Mapping[str, str]) -> Reply:
    return text_reply("bbb-webhooks API up!")


def _duplicate_document(hook: Hook) -> bytes:
    message = "There is already a hook for this callback URL."
    return xml.response(_SUCCESS, ("hookID", hook.id), ("messageKey", "duplicateWarning"), ("message", message))


def _hook_fields(hook: Hook) -> list[xml.Field]:
    return [
        ("hookID", hook.id),
        ("callbackURL", hook.callback_url),
        *([("meetingID", hook.meeting_id)] if hook.meeting_id else []),
        *([("eventID", ",".join(hook.event_ids))] if hook.event_ids else []),
        *_kind_fields(hook),
    ]


def _kind_fields(hook: Hook) -> list[xml.Field]:
    return [("permanentHook", hook.is_permanent), ("rawData", hook.wants_raw)]
