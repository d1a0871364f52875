import pytest

from meetingpool.bbb.calls import CALLS, BodyKind


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


def test_join_takes_no_post() -> None:
    assert [call for call, spec in CALLS.items() if "POST" not in spec.methods] == ["join"]


def test_only_create_takes_xml() -> None:
    assert [call for call, spec in CALLS.items() if BodyKind.XML in spec.bodies] == ["create"]
