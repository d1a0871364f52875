"""What proves that a server's webhooks made a call, and what proves it of ours."""

import hashlib
from urllib.parse import quote_plus

import pytest

from meetingpool.bbb.callbacks import MAX_HOOK_BYTES, CallbackRefused, Reason, hook_checksum, signed_hook_url, verify_hook
from meetingpool.bbb.checksum import ALL_ALGORITHMS, Algorithm

SECRET = "639259d4-9dd8-4b25-bf01-95f9567eaf4b"
HOOK_URL = "https://a.example/hook?room=7"
HOOK_BODY = f"domain=bbb.example&event={quote_plus('[{}]')}&timestamp=1532718316953".encode()


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_webhook_is_signed_over_address_body_and_secret(algorithm: Algorithm) -> None:
    checksum = hashlib.new(algorithm, HOOK_URL.encode() + HOOK_BODY + SECRET.encode()).hexdigest()

    assert hook_checksum(HOOK_URL, HOOK_BODY, SECRET, algorithm) == checksum
    assert signed_hook_url(HOOK_URL, HOOK_BODY, SECRET, algorithm) == f"{HOOK_URL}&checksum={checksum}"
    verify_hook(HOOK_URL, HOOK_BODY, ["other", SECRET], checksum=checksum)
    with pytest.raises(CallbackRefused):
        verify_hook(HOOK_URL, HOOK_BODY, [SECRET], checksum=checksum, allowed=ALL_ALGORITHMS - {algorithm})


def test_webhook_to_an_address_without_a_query_gets_one() -> None:
    assert signed_hook_url("https://a.example/hook", b"", SECRET).startswith("https://a.example/hook?checksum=")


@pytest.mark.parametrize("checksum", ["", "x", "0" * 40, "0" * 64, "\xfc" * 40, "\ud800" * 40])
def test_webhook_with_a_wrong_checksum_is_refused(checksum: str) -> None:
    with pytest.raises(CallbackRefused) as refusal:
        verify_hook(HOOK_URL, HOOK_BODY, [SECRET, ""], checksum=checksum, authorization=f"Bearer {SECRET}")

    assert refusal.value.reason == Reason.WRONG_PROOF


@pytest.mark.parametrize(
    ("url", "body", "secrets"),
    [(HOOK_URL + "x", HOOK_BODY, [SECRET]), (HOOK_URL, b"", [SECRET]), (HOOK_URL, HOOK_BODY, ["", "o"])],
)
def test_checksum_of_a_webhook_is_good_for_its_address_its_body_and_its_server(url: str, body: bytes, secrets: list[str]) -> None:
    checksum = hook_checksum(HOOK_URL, HOOK_BODY, SECRET)
    with pytest.raises(CallbackRefused):
        verify_hook(url, body, secrets, checksum=checksum)


def test_webhook_may_bring_the_secret_itself() -> None:
    verify_hook(HOOK_URL, HOOK_BODY, ["other", SECRET], authorization=f"Bearer {SECRET}")


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        (None, Reason.NO_PROOF),
        ("", Reason.NO_PROOF),
        ("Bearer ", Reason.NO_PROOF),
        (f"Basic {SECRET}", Reason.NO_PROOF),
        ("Bearer other", Reason.WRONG_PROOF),
        (f"Bearer {SECRET}x", Reason.WRONG_PROOF),
        ("Bearer \ud800", Reason.WRONG_PROOF),
    ],
)
def test_webhook_without_any_proof_is_refused(authorization: str | None, reason: Reason) -> None:
    with pytest.raises(CallbackRefused) as refusal:
        verify_hook(HOOK_URL, HOOK_BODY, [SECRET, ""], authorization=authorization)

    assert refusal.value.reason == reason


def test_webhook_that_is_too_large_is_refused() -> None:
    with pytest.raises(CallbackRefused) as refusal:
        verify_hook(HOOK_URL, b"x" * (MAX_HOOK_BYTES + 1), [SECRET], authorization=f"Bearer {SECRET}")

    assert refusal.value.reason == Reason.TOO_LARGE
