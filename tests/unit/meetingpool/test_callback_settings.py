"""Where callbacks may go although it is inside our network."""

import pytest

from meetingpool.settings import Settings, SettingsError, read_settings


def test_networks_and_hosts_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEETINGPOOL_CALLBACK_ALLOW", "10.20.0.0/16, lms.example.org,,*.apps.example.org , ::1")
    assert read_settings().callback_allow == ("10.20.0.0/16", "lms.example.org", "*.apps.example.org", "::1")


def test_nothing_is_allowed_by_default() -> None:
    assert Settings().callback_allow == ()


@pytest.mark.parametrize("entry", ["10.20.0.0/33", "https://lms.example.org", "lms.example.org:8080", "a b", "*"])
def test_an_entry_that_is_neither_is_refused_by_the_name_of_the_variable(monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    monkeypatch.setenv("MEETINGPOOL_CALLBACK_ALLOW", f"10.0.0.0/8,{entry}")
    with pytest.raises(SettingsError, match="MEETINGPOOL_CALLBACK_ALLOW"):
        read_settings()
