"""Whatever somebody posts as a callback, it is verified or refused."""

import contextlib
import json

from hypothesis import given
from hypothesis import strategies as st

from meetingpool.bbb.callbacks import (
    CallbackRefused,
    end_callback_url,
    hook_checksum,
    sign_analytics,
    sign_recording_ready,
    verify_analytics,
    verify_hook,
    verify_recording_ready,
)

NOW = 1_700_000_000.0
SECRET = "a secret"

ids = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=256)
secrets = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)
bodies = st.one_of(
    st.binary(),
    st.binary().map(b"signed_parameters=".__add__),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    ).map(lambda document: json.dumps({"meeting_id": "a", "internal_meeting_id": "b", "more": document}).encode()),
)


@given(ids, ids, secrets, secrets)
def test_recording_signed_with_one_secret_is_verified_with_it_alone(
    meeting_id: str, record_id: str, secret: str, other: str
) -> None:
    body = sign_recording_ready(meeting_id=meeting_id, record_id=record_id, secret=secret)
    ready = verify_recording_ready(body, [other, secret], now=NOW)

    assert (ready.meeting_id, ready.record_id) == (meeting_id, record_id)
    if other != secret:
        with contextlib.suppress(CallbackRefused):
            verify_recording_ready(body, [other], now=NOW)
            raise AssertionError("verified with a secret that it was not signed with")


@given(bodies, st.text(), st.text())
def test_anything_posted_is_verified_or_refused(body: bytes, header: str, checksum: str) -> None:
    for authorization in (header, f"Bearer {header}", sign_analytics(SECRET, now=NOW)):
        with contextlib.suppress(CallbackRefused):
            report = verify_analytics(authorization, body, [SECRET], now=NOW)
            # It can be kept and sent on.
            json.dumps(report.document, allow_nan=False, ensure_ascii=False).encode()
        with contextlib.suppress(CallbackRefused):
            verify_hook("https://a.example", body, [SECRET], checksum=checksum, authorization=authorization)
    with contextlib.suppress(CallbackRefused):
        verify_recording_ready(body, [SECRET], now=NOW)


@given(st.binary(), st.binary(), secrets)
def test_checksum_of_a_webhook_covers_its_body(body: bytes, other: bytes, secret: str) -> None:
    checksum = hook_checksum("https://a.example", body, secret)
    with contextlib.suppress(CallbackRefused):
        verify_hook("https://a.example", other, [secret], checksum=checksum)

        assert body == other


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="#")), ids)
def test_own_query_of_an_address_stays_as_it_is(query: str, meeting_id: str) -> None:
    url = end_callback_url(f"https://a.example/?{query}", recordingmarks=False, meeting_id=meeting_id)

    assert url.startswith(f"https://a.example/?{query}")
