"""What a webhook wants, and the addresses of ours that prove themselves."""

import pytest

from meetingpool.domain.callbacks import CallbackKind, callback_path
from meetingpool.domain.hooks import Hook, HookForm, hook_path, proved_form, read_event_ids
from meetingpool.domain.servers import ServerId

KEY = b"k" * 32
SERVER = ServerId("bbb-1.example")


def a_hook(meeting_id: str | None = None, *event_ids: str, form: HookForm = HookForm.PROCESSED) -> Hook:
    return Hook(id="h", tenant="t", callback_url="https://x/", meeting_id=meeting_id, event_ids=event_ids, form=form)


@pytest.mark.parametrize(
    ("hook", "is_wanted"),
    [
        (a_hook(), True),
        (a_hook("room"), True),
        (a_hook("ROOM"), False),
        (a_hook(None, "user-left", "user-joined"), True),
        (a_hook(None, "user-left"), False),
        (a_hook("other", "user-joined"), False),
        (a_hook(form=HookForm.RAW), False),
    ],
)
def test_a_hook_hears_of_its_meeting_its_events_and_its_form(hook: Hook, is_wanted: bool) -> None:
    assert hook.wants("room", {"user-joined"}, HookForm.PROCESSED) is is_wanted


def test_event_ids_are_compared_in_lower_case_and_named_once() -> None:
    assert read_event_ids(" User-Joined,,user-left ,USER-JOINED,") == ("user-joined", "user-left")
    assert read_event_ids("") == ()


@pytest.mark.parametrize("form", list(HookForm))
def test_an_address_proves_its_server_and_its_form(form: HookForm) -> None:
    *_, server_id, proof = hook_path(KEY, SERVER, form).split("/")
    assert server_id == SERVER
    assert proved_form(KEY, SERVER, proof) is form


def test_an_address_proves_nothing_else() -> None:
    proof = hook_path(KEY, SERVER, HookForm.RAW).rpartition("/")[2]
    wrong = [proof[:-1], proof + "0", proof.upper(), "", "ü" * len(proof)]
    assert [proved_form(KEY, SERVER, other) for other in wrong] == [None] * len(wrong)
    assert proved_form(KEY, ServerId("bbb-2.example"), proof) is None
    assert proved_form(b"another key", SERVER, proof) is None
    other_callback = callback_path(KEY, 1, CallbackKind.HOOK_EVENT, 1).rpartition("/")[2]
    assert proved_form(KEY, SERVER, other_callback) is None


def test_any_id_of_a_server_is_one_part_of_the_path() -> None:
    assert hook_path(KEY, ServerId("a/b?c d"), HookForm.RAW).split("/")[-2] == "a%2Fb%3Fc%20d"
