"""What events say of themselves, and what a front end is told of them."""

import json
from typing import Any

import pytest

from meetingpool.domain.announcements import Announcement
from meetingpool.domain.hook_events import Brought, HookEvent, announcements_of, read_event
from meetingpool.domain.hooks import Hook, HookForm
from meetingpool.domain.meetings import DEFAULT_TENANT, MeetingKey, host_id_of
from meetingpool.domain.servers import ServerId
from tests.hooks import an_event

KEY = MeetingKey("tenant", "a room")
HOST_ID = host_id_of(KEY)
HOOK = Hook(id="h", tenant="tenant", callback_url="https://lms.example/")


def read(document: Any, form: HookForm = HookForm.PROCESSED) -> HookEvent:
    event = read_event(document, form)
    assert event is not None
    return event


def raw(name: str, **body: Any) -> dict[str, Any]:
    return {
        "envelope": {"name": name, "routing": {"meetingId": "internal"}, "timestamp": 1},
        "core": {"header": {"name": name, "meetingId": "internal", "userId": "u"}, "body": body},
    }


def told(
    document: Any, *hooks: Hook, key: MeetingKey | None = KEY, server: str = "s1", timestamp: str = "7"
) -> list[Announcement]:
    brought = Brought(server_id=ServerId(server), events=[read(document)], domain="pool.example", timestamp=timestamp)
    return announcements_of(brought, [key], hooks or [HOOK])


def document_told(document: Any, key: MeetingKey = KEY) -> Any:
    hook = Hook(id="h", tenant=key.tenant, callback_url="https://lms.example/")
    (announcement,) = told(document, hook, key=key)
    return json.loads(announcement.payload["event"])


def test_a_described_event_names_itself_and_its_meeting() -> None:
    event = read(an_event("room", "Meeting-Ended"))
    assert (event.host_id, event.internal_id) == ("room", "internal-room")
    assert event.ids == {"meeting-ended"}
    assert event.ends_meeting
    assert event.has_time
    assert not event.is_of_recording
    assert read(an_event("room", "rap-publish-ended")).is_of_recording


def test_a_raw_event_is_known_by_its_message_and_by_what_bbb_webhooks_would_call_it() -> None:
    event = read(raw("UserMutedVoiceEvtMsg"), HookForm.RAW)
    assert event.ids == {"usermutedvoiceevtmsg", "user-audio-muted", "user-audio-unmuted"}
    assert (event.host_id, event.internal_id) == (None, "internal")
    assert read(raw("SomethingNewEvtMsg"), HookForm.RAW).ids == {"somethingnewevtmsg"}
    created = read(raw("MeetingCreatedEvtMsg", props={"meetingProp": {"extId": "room", "intId": "internal"}}), HookForm.RAW)
    assert created.host_id == "room"
    assert not read(raw("MeetingDestroyedEvtMsg"), HookForm.RAW).ends_meeting


def test_a_raw_event_of_a_recording_names_its_meeting_too() -> None:
    payload = {"external_meeting_id": "room", "meeting_id": "internal", "success": True}
    event = read({"header": {"name": "publish_ended", "timestamp": 1}, "payload": payload}, HookForm.RAW)
    assert event.ids == {"publish_ended", "rap-publish-ended"}
    assert (event.host_id, event.internal_id, event.is_of_recording) == ("room", "internal", True)


@pytest.mark.parametrize("form", list(HookForm))
@pytest.mark.parametrize(
    "document",
    [
        None,
        "room",
        17,
        [],
        {},
        {"data": []},
        {"data": {"id": "user-joined"}},
        {"data": {"id": 5, "attributes": {"meeting": {"external-meeting-id": "room"}}}},
        {"data": {"id": "user-joined", "attributes": {"meeting": {"external-meeting-id": "a\x00b"}}}},
        {"data": {"id": "user-joined", "attributes": {"meeting": {"external-meeting-id": "\ud800"}}}},
        {"data": {"id": "user-joined", "attributes": {"meeting": {"external-meeting-id": "x" * 257}}}},
        {"core": {"header": {"name": "UserJoinedMeetingEvtMsg"}}},
        {"header": {}, "payload": {"external_meeting_id": "room"}},
    ],
)
def test_what_names_no_meeting_or_not_itself_is_no_event(document: Any, form: HookForm) -> None:
    assert read_event(document, form) is None


def test_a_front_end_sees_its_own_id_wherever_the_servers_stood_and_its_own_metadata() -> None:
    event = an_event(
        HOST_ID,
        "meeting-created",
        recording={
            "metadata": {"meetingId": HOST_ID, "meetingpool-generation": "7", "tenant-id": "tenant"},
            "link": f"/x?m={HOST_ID}",
        },
    )
    event["data"]["attributes"]["meeting"] |= {
        "moderator-pass": "mp",
        "metadata": {
            "endcallbackurl": "https://pool.example/bigbluebutton/callbacks/7/end-callback/x",
            "meetingpool-given-endcallbackurl": "https://lms.example/end",
            "meetingpool-generation": "7",
            "tenant-id": "tenant",
            "tenant-name": "t",
            "secret-lrs-payload": "x",
            "context": "a course",
        },
    }
    attributes = document_told(event)["data"]["attributes"]
    assert attributes["meeting"] == {
        "internal-meeting-id": f"internal-{KEY.meeting_id}",
        "external-meeting-id": KEY.meeting_id,
        "moderator-pass": "mp",
        "metadata": {"endcallbackurl": "https://lms.example/end", "context": "a course"},
    }
    assert attributes["recording"] == {"metadata": {"meetingId": KEY.meeting_id}, "link": f"/x?m={KEY.meeting_id}"}


def test_without_tenants_ids_are_the_front_ends_own_already() -> None:
    event = an_event("room", chat={"message": "the room, and \ud800 ü", "list": ["room", 1, None, 1.5, True]})
    assert document_told(event, MeetingKey(DEFAULT_TENANT, "room")) == event


def test_the_same_event_of_a_server_is_one_announcement_whenever_it_is_brought() -> None:
    same = [told(an_event(HOST_ID, ts=1), timestamp=timestamp)[0].identity for timestamp in ("7", "8")]
    assert same[0] == same[1]
    others = [
        told(an_event(HOST_ID, ts=2))[0],
        told(an_event(HOST_ID, "user-left", ts=1))[0],
        told(an_event(HOST_ID, ts=1), server="s2")[0],
        told(an_event(HOST_ID, ts=1), Hook(id="other", tenant="tenant", callback_url="https://lms.example/"))[0],
    ]
    assert len({same[0], *(other.identity for other in others)}) == 5


def test_of_events_that_do_not_say_when_they_were_the_posts_do() -> None:
    event = an_event(HOST_ID)
    del event["data"]["event"]
    identities = {told(event, timestamp=timestamp)[0].identity for timestamp in ("7", "7", "8")}
    assert len(identities) == 2


def test_nobody_hears_of_another_tenants_meeting_or_of_one_that_is_nobodys() -> None:
    assert told(an_event(HOST_ID), Hook(id="h", tenant="other", callback_url="https://lms.example/")) == []
    assert told(an_event(HOST_ID), key=None) == []
