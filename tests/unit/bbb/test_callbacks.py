"""Callbacks against tokens and checksums that are put together here by hand, so that no library judges its own work."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import pytest

from meetingpool.bbb.callbacks import (
    MAX_ANALYTICS_BYTES,
    MAX_RECORDING_READY_BYTES,
    AnalyticsReport,
    CallbackRefused,
    Reason,
    RecordingReady,
    end_callback_url,
    sign_analytics,
    sign_recording_ready,
    verify_analytics,
    verify_recording_ready,
)
from meetingpool.bbb.strict_json import MAX_DEPTH

SECRET = "639259d4-9dd8-4b25-bf01-95f9567eaf4b"
NOW = 1_700_000_000.0
DAY = 24 * 3600
RECORD_ID = "183f0bf3a0982a127bdb8161e0c44eb696b3e75c-1532718316938"
CLAIMS = {"meeting_id": "room 1", "record_id": RECORD_ID}
REPORT = {"version": "1.0", "meeting_id": "room 1", "internal_meeting_id": RECORD_ID, "data": {"duration": 3600}}
DIGESTS = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def as_json(values: Any) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode()


def token_of(claims: Any, secret: str = SECRET, *, alg: str = "HS256", made_with: str | None = None, **header: Any) -> str:
    """`made_with` another algorithm than the header says."""
    payload = claims if isinstance(claims, bytes) else as_json(claims)
    signed = f"{base64url(as_json({'alg': alg, **header}))}.{base64url(payload)}"
    signature = hmac.new(secret.encode(), signed.encode(), DIGESTS[made_with or alg]).digest()
    return f"{signed}.{base64url(signature)}"


def form(token: str) -> bytes:
    return f"signed_parameters={token}".encode()


def bearer(claims: Mapping[str, Any] | None = None, secret: str = SECRET, *, alg: str = "HS512", **header: Any) -> str:
    return f"Bearer {token_of({'exp': int(NOW) + DAY} if claims is None else claims, secret, alg=alg, **header)}"


def refusal_of_recording(body: bytes, secrets: tuple[str, ...] = (SECRET,)) -> Reason:
    with pytest.raises(CallbackRefused) as refusal:
        verify_recording_ready(body, secrets, now=NOW)
    return refusal.value.reason


def refusal_of_report(authorization: str | None, body: bytes | None = None, secrets: tuple[str, ...] = (SECRET,)) -> Reason:
    with pytest.raises(CallbackRefused) as refusal:
        verify_analytics(authorization, as_json(REPORT) if body is None else body, secrets, now=NOW)
    return refusal.value.reason


@pytest.mark.parametrize("alg", DIGESTS)
@pytest.mark.parametrize("header", [{}, {"typ": "JWT"}])
def test_recording_is_announced_by_a_form_that_its_server_signed(alg: str, header: dict[str, str]) -> None:
    body = form(token_of(CLAIMS, alg=alg, **header))

    assert verify_recording_ready(body, [SECRET], now=NOW) == RecordingReady("room 1", RECORD_ID)


def test_recording_is_announced_by_json_too() -> None:
    body = json.dumps({"signed_parameters": token_of(CLAIMS)}, indent=1).encode()

    assert verify_recording_ready(b" \r\n" + body, [SECRET], now=NOW) == RecordingReady("room 1", RECORD_ID)


def test_each_secret_of_a_server_is_tried_and_none_that_is_empty() -> None:
    assert verify_recording_ready(form(token_of(CLAIMS)), ["", "other", SECRET], now=NOW).record_id == RECORD_ID
    assert refusal_of_recording(form(token_of(CLAIMS, "")), ("", "other")) == Reason.WRONG_PROOF
    assert refusal_of_recording(form(token_of(CLAIMS)), ()) == Reason.WRONG_PROOF


@pytest.mark.parametrize("secret", ["a", "0", "\xfc\u20ac", "x" * 5000, "123456", "{}"])
def test_secrets_of_any_length_and_script_are_used_without_a_warning(secret: str) -> None:
    assert verify_recording_ready(form(token_of(CLAIMS, secret)), [secret], now=NOW).meeting_id == "room 1"
    assert sign_recording_ready(meeting_id="room 1", record_id=RECORD_ID, secret=secret) == form(token_of(CLAIMS, secret))
    assert verify_analytics(sign_analytics(secret, now=NOW), as_json(REPORT), [secret], now=NOW).document == REPORT


def unsigned(alg: str) -> str:
    return f"{base64url(as_json({'alg': alg}))}.{base64url(as_json(CLAIMS))}."


@pytest.mark.parametrize(
    "token",
    [
        token_of(CLAIMS, "other"),
        unsigned("none"),
        unsigned("None"),
        unsigned("HS256"),
        unsigned(""),
        token_of(CLAIMS, alg="none", made_with="HS256"),
        token_of(CLAIMS, alg="RS256", made_with="HS256"),
        token_of(CLAIMS, alg="ES256", made_with="HS256"),
        token_of(CLAIMS, alg="HS512", made_with="HS256"),
        token_of(CLAIMS, alg="hs256", made_with="HS256"),
        token_of(CLAIMS, crit=["exp"], exp=1),
        token_of(CLAIMS)[:-1],
        token_of(CLAIMS)[:-10],
        token_of(CLAIMS).rpartition(".")[0],
        token_of(CLAIMS).partition(".")[2],
        token_of(CLAIMS) + ".x",
        "." + token_of(CLAIMS),
        token_of(CLAIMS).swapcase(),
        token_of({**CLAIMS, "meeting_id": "other"}).rpartition(".")[0] + "." + token_of(CLAIMS).rpartition(".")[2],
        "a.b.c",
        "..",
        "x" * 20_000,
    ],
)
def test_token_that_the_server_did_not_make_is_refused(token: str) -> None:
    assert refusal_of_recording(form(token)) == Reason.WRONG_PROOF


def test_key_of_another_kind_in_the_header_is_not_used() -> None:
    own_key = {"kty": "oct", "k": base64url(b"mine")}

    assert (
        refusal_of_recording(form(token_of(CLAIMS, "mine", jwk=own_key, kid="mine", jku="http://x.example/")))
        == Reason.WRONG_PROOF
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"signed_parameters",
        b"signed_parameters=",
        b"Signed_Parameters=" + token_of(CLAIMS).encode(),
        b"signed_parameters[]=" + token_of(CLAIMS).encode(),
        form(token_of(CLAIMS)) + b"&" + form(token_of(CLAIMS)),
        form(token_of(CLAIMS)) + b"&signed%5Fparameters=x",
        b"{}",
        b'{"signed_parameters": null}',
        b'{"signed_parameters": ["x"]}',
    ],
)
def test_exactly_one_token_is_needed(body: bytes) -> None:
    assert refusal_of_recording(body) == Reason.NO_PROOF


@pytest.mark.parametrize(
    "body",
    [
        b"\xff",
        b"signed_parameters=%ff",
        b"&".join([b"a=b"] * 1000),
        b"{",
        b'{"signed_parameters": "x"} x',
        b'{"signed_parameters": "x", "signed_parameters": "x"}',
        b"{" * 50_000,
        b'{"a":' * 200 + b"1" + b"}" * 200,
        '{"signed_parameters": "x"}'.encode("utf-16"),
        b'{"signed_parameters": "x", "n": NaN}',
        b'{"signed_parameters": "x", "n": ' + b"9" * 5000 + b"}",
    ],
)
def test_body_that_cannot_be_read_is_refused(body: bytes) -> None:
    assert refusal_of_recording(body) in (Reason.UNREADABLE, Reason.NO_PROOF)


@pytest.mark.parametrize("beginning", [b"signed_parameters=", b'{"signed_parameters":"', b""])
def test_body_of_ten_megabytes_is_refused_at_once(beginning: bytes) -> None:
    body = beginning.ljust(10_000_000, b"x")
    began = time.process_time()

    assert refusal_of_recording(body) == Reason.TOO_LARGE
    assert refusal_of_report(bearer(), body) == Reason.TOO_LARGE
    assert time.process_time() - began < 0.1
    assert refusal_of_recording(b"x" * (MAX_RECORDING_READY_BYTES + 1)) == Reason.TOO_LARGE
    assert refusal_of_report(bearer(), b"x" * (MAX_ANALYTICS_BYTES + 1)) == Reason.TOO_LARGE


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"meeting_id": "room"},
        {"record_id": RECORD_ID},
        {**CLAIMS, "meeting_id": ""},
        {**CLAIMS, "meeting_id": 7},
        {**CLAIMS, "meeting_id": None},
        {**CLAIMS, "meeting_id": ["room"]},
        {**CLAIMS, "meeting_id": "x" * 257},
        {**CLAIMS, "record_id": "a\x00b"},
        {**CLAIMS, "record_id": "a\nb"},
        {**CLAIMS, "meeting_id": "\ud800"},
        [CLAIMS],
        "text",
        b"no json",
        b"\xff",
        b'{"meeting_id":"a","meeting_id":"b","record_id":"c"}',
    ],
)
def test_signed_nonsense_is_refused(claims: Any) -> None:
    assert refusal_of_recording(form(token_of(claims))) == Reason.UNREADABLE


@pytest.mark.parametrize("claims", [{"exp": NOW - 61}, {"exp": -1}, {"nbf": NOW + 61}])
def test_times_of_a_token_that_has_some_are_kept(claims: dict[str, float]) -> None:
    assert refusal_of_recording(form(token_of({**CLAIMS, **claims}))) == Reason.NOT_VALID_NOW


def test_recording_is_announced_to_a_front_end_as_bbb_does_it() -> None:
    body = sign_recording_ready(meeting_id="r\xf6\xf6m", record_id=RECORD_ID, secret=SECRET)
    header, payload, _ = body.decode().removeprefix("signed_parameters=").split(".")

    assert base64.urlsafe_b64decode(header + "==") == b'{"alg":"HS256"}'
    assert json.loads(base64.urlsafe_b64decode(payload + "==")) == {"meeting_id": "r\xf6\xf6m", "record_id": RECORD_ID}
    assert body == form(token_of({"meeting_id": "r\xf6\xf6m", "record_id": RECORD_ID}))


def test_report_with_the_token_of_its_server_is_read() -> None:
    report = verify_analytics(bearer(), as_json(REPORT), [SECRET], now=NOW)

    assert report == AnalyticsReport("room 1", RECORD_ID, REPORT)


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Basic x", "x", bearer().removeprefix("Bearer ")])
def test_report_without_a_token_is_refused(authorization: str | None) -> None:
    assert refusal_of_report(authorization) == Reason.NO_PROOF


@pytest.mark.parametrize(
    "authorization",
    [
        bearer(secret="other"),
        bearer(secret=""),
        bearer(alg="HS256"),
        bearer(alg="HS384"),
        f"Bearer {unsigned('none')}",
        f"Bearer {token_of({'exp': NOW + 1}, alg='RS512', made_with='HS512')}",
        f"Bearer {SECRET}",
        bearer()[:-3],
        bearer() + "\xfc",
        bearer({}),
        bearer({"exp": None}),
        bearer({"exp": True}),
        bearer({"exp": str(int(NOW) + 60)}),
        bearer({"exp": [NOW + 60]}),
        bearer({"iat": NOW}),
    ],
)
def test_report_with_a_wrong_token_is_refused(authorization: str) -> None:
    assert refusal_of_report(authorization) == Reason.WRONG_PROOF


@pytest.mark.parametrize("ahead", [DAY + 60, DAY, 1, 0, -59])
def test_clocks_may_differ_by_a_minute(ahead: int) -> None:
    assert verify_analytics(bearer({"exp": NOW + ahead}), as_json(REPORT), [SECRET], now=NOW).meeting_id == "room 1"


@pytest.mark.parametrize("ahead", [DAY + 61, 10 * DAY, 1e300, -60, -DAY])
def test_token_whose_time_is_over_or_too_long_is_refused(ahead: float) -> None:
    assert refusal_of_report(bearer({"exp": NOW + ahead})) == Reason.NOT_VALID_NOW


def test_scheme_is_compared_without_case() -> None:
    assert verify_analytics(bearer().replace("Bearer", "bearer"), as_json(REPORT), [SECRET], now=NOW).document == REPORT


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b"\xff\xfe",
        b"\x1f\x8b\x08",
        as_json(REPORT)[:-1],
        as_json(REPORT) + as_json(REPORT),
        as_json({**REPORT, "meeting_id": None}),
        as_json({**REPORT, "internal_meeting_id": 7}),
        as_json({**REPORT, "n": float("nan")}),
        as_json(REPORT)[:-1] + b',"n":1e999}',
        as_json(REPORT)[:-1] + b',"meeting_id":"other"}',
        as_json(REPORT)[:-1] + b',"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        as_json(REPORT)[:-1] + b',"more":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}",
    ],
)
def test_report_that_is_none_is_refused(body: bytes) -> None:
    assert refusal_of_report(bearer(), body) == Reason.UNREADABLE


def test_report_may_be_as_deep_as_any_can_be() -> None:
    deep: Any = []
    for _ in range(MAX_DEPTH - 2):
        deep = [deep]

    assert verify_analytics(bearer(), as_json({**REPORT, "deep": deep}), [SECRET], now=NOW).document["deep"] == deep


def test_report_holds_nothing_that_the_database_refuses() -> None:
    body = as_json({**REPORT, "names": ["half \ud83d", "a\x00b", "whole \U0001f600"], "\x00": {"\udfff": "\x00"}})
    document = verify_analytics(bearer(), body, [SECRET], now=NOW).document

    assert document["names"] == ["half \ufffd", "a\ufffdb", "whole \U0001f600"]
    assert document["\ufffd"] == {"\ufffd": "\ufffd"}


def test_report_to_a_front_end_is_good_for_a_day() -> None:
    authorization = sign_analytics(SECRET, now=NOW + 0.9)
    header, payload, _ = authorization.removeprefix("Bearer ").split(".")

    assert base64.urlsafe_b64decode(header + "==") == b'{"typ":"JWT","alg":"HS512"}'
    assert json.loads(base64.urlsafe_b64decode(payload + "==")) == {"exp": int(NOW) + DAY}
    assert verify_analytics(authorization, as_json(REPORT), [SECRET], now=NOW).document == REPORT


@pytest.mark.parametrize(
    ("url", "called"),
    [
        ("https://a.example/end", "https://a.example/end?recordingmarks=true&meetingID=a+%26+b"),
        ("https://a.example", "https://a.example?recordingmarks=true&meetingID=a+%26+b"),
        ("https://a.example/end?", "https://a.example/end?recordingmarks=true&meetingID=a+%26+b"),
        ("https://a.example/end?x=%2f&y", "https://a.example/end?x=%2f&y&recordingmarks=true&meetingID=a+%26+b"),
        ("https://a.example/end?x=1&", "https://a.example/end?x=1&recordingmarks=true&meetingID=a+%26+b"),
        ("https://a.example/end?meetingID=own", "https://a.example/end?meetingID=own&recordingmarks=true&meetingID=a+%26+b"),
        ("https://a.example/end?x=1#part?", "https://a.example/end?x=1&recordingmarks=true&meetingID=a+%26+b"),
    ],
)
def test_end_of_a_meeting_is_added_to_the_query(url: str, called: str) -> None:
    assert end_callback_url(url, recordingmarks=True, meeting_id="a & b") == called
    assert end_callback_url(url, recordingmarks=False, meeting_id="a & b") == called.replace("=true", "=false")
