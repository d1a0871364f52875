import pytest

from meetingpool.bbb.calls import CALLS, SESSION_CALLS, BodyKind


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("application/x-www-form-urlencoded", BodyKind.FORM),
        ("Application/X-WWW-Form-URLencoded; charset=UTF-8", BodyKind.FORM),
        ("multipart/form-data; boundary=x", BodyKind.MULTIPART),
        ("application/xml", BodyKind.XML),
        ("application/xml; charset=UTF-8", BodyKind.XML),
        (" TEXT/XML ;charset=utf-8", BodyKind.XML),
        ("", None),
        ("application/json", None),
        ("application/xml+x", None),
        (";application/xml", None),
    ],
)
def test_body_is_known_by_its_media_type_alone(content_type: str, kind: BodyKind | None) -> None:
    assert BodyKind.of(content_type) == kind


def test_calls_whose_parameters_must_all_be_signed_in_the_query_take_no_post() -> None:
    without_post = [call for call, spec in CALLS.items() if "POST" not in spec.methods]
    assert without_post == [
        "join",
        "sendChatMessage",
        "publishRecordings",
        "deleteRecordings",
        "getUser",
        "hooks/create",
        "hooks/list",
        "hooks/destroy",
    ]


def test_documents_are_posted_with_create_and_insert_document_only() -> None:
    assert [call for call, spec in CALLS.items() if BodyKind.XML in spec.bodies] == ["create", "insertDocument"]
    assert CALLS["insertDocument"].methods == {"POST"}


def test_what_changes_something_is_never_repeated() -> None:
    assert {call for call, spec in CALLS.items() if not spec.is_read} == {
        "create",
        "join",
        "end",
        "insertDocument",
        "sendChatMessage",
        "publishRecordings",
        "deleteRecordings",
        "updateRecordings",
        "putRecordingTextTrack",
        "hooks/create",
        "hooks/destroy",
    }


def test_no_name_is_a_signed_call_and_a_session_call() -> None:
    assert not CALLS.keys() & SESSION_CALLS.keys()
