"""Addresses that servers call back, in the place of those that front ends gave."""

import pytest

from meetingpool.domain.callbacks import (
    PATH,
    CallbackKind,
    callback_path,
    given_addresses,
    proved_mark,
    with_own_addresses,
)

KEY = b"k" * 32
MARK = 0x1234


def proof_of(path: str) -> str:
    return path.rpartition("/")[2]


def test_an_address_proves_its_placement_and_its_kind() -> None:
    path = callback_path(KEY, 7, CallbackKind.ANALYTICS, MARK)
    assert path.startswith(f"{PATH}/7/analytics/")
    assert proved_mark(KEY, 7, CallbackKind.ANALYTICS, proof_of(path)) == "0000000000001234"


@pytest.mark.parametrize(
    ("key", "generation", "kind"),
    [
        (b"x" * 32, 7, CallbackKind.ANALYTICS),
        (KEY, 8, CallbackKind.ANALYTICS),
        (KEY, 7, CallbackKind.RECORDING_READY),
    ],
)
def test_an_address_proves_nothing_else(key: bytes, generation: int, kind: CallbackKind) -> None:
    proof = proof_of(callback_path(KEY, 7, CallbackKind.ANALYTICS, MARK))
    assert proved_mark(key, generation, kind, proof) is None


def test_a_proof_that_was_changed_proves_nothing() -> None:
    proof = proof_of(callback_path(KEY, 7, CallbackKind.ANALYTICS, 0xABCDEF))
    other_mark = f"1{proof[1:]}"
    for changed in ("", proof[:16], proof[:-1], f"{proof}0", "ü" * len(proof), proof.upper(), other_mark):
        assert proved_mark(KEY, 7, CallbackKind.ANALYTICS, changed) is None


def test_no_two_creates_of_a_placement_have_one_address() -> None:
    paths = {callback_path(KEY, 7, CallbackKind.MEETING_ENDED, mark) for mark in (0, 1, 2**64 - 1)}
    assert len(paths) == 3


def test_bbb_is_told_of_recordings_before_moodle_before_canvas() -> None:
    given = {f"meta_{name}-recording-ready-url": f"https://{name}.example/" for name in ("canvas", "bn", "bbb")}
    assert given_addresses(given) == {"recording-ready": "https://bbb.example/"}
    del given["meta_bbb-recording-ready-url"]
    assert given_addresses(given) == {"recording-ready": "https://bn.example/"}


def test_every_address_that_was_given_is_replaced_and_kept() -> None:
    given = {"meta_endCallbackUrl": "https://a/", "meta_bn-recording-ready-url": "https://b/", "meta_analytics-callback-url": " "}
    sent = with_own_addresses(given, lambda kind: f"https://ours/{kind}")
    assert sent == {
        "meetingEndedURL": "https://ours/meeting-ended",
        "meta_endCallbackUrl": "https://ours/end-callback",
        "meta_meetingpool-given-endcallbackurl": "https://a/",
        "meta_bn-recording-ready-url": "https://ours/recording-ready",
        "meta_meetingpool-given-bn-recording-ready-url": "https://b/",
        "meta_analytics-callback-url": " ",
    }
