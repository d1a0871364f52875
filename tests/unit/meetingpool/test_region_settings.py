"""Settings of regions, as the environment says them."""

import pytest

from meetingpool.settings import SettingsError, read_settings


def test_tables_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEETINGPOOL_REGION_LATENCY", " eu:us=90, eu:asia=180 ,")
    monkeypatch.setenv("MEETINGPOOL_REGION_NETWORKS", "10.1.0.0/16=eu,2001:db8::/32=us")
    monkeypatch.setenv("MEETINGPOOL_REGION_NAMES", "DE=eu,*=us")
    settings = read_settings()
    assert settings.region_latency == ("eu:us=90", "eu:asia=180")
    assert settings.region_networks == ("10.1.0.0/16=eu", "2001:db8::/32=us")
    assert settings.region_names == ("DE=eu", "*=us")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("LATENCY", "eu:us=soon", "'eu:us=soon' does not end with a number of milliseconds, from 0"),
        ("LATENCY", "eu:us", "'eu:us' is not written like eu:us=90; several are separated by commas"),
        ("NETWORKS", "10.1.2.3/16=eu", "'10.1.2.3/16=eu' does not begin with a network like 10.1.0.0/16: 10.1.2.3/16 has host"),
        ("NAMES", "DE=eu,DE=us", "'DE=us' is about what an entry before it is about; take one of the two out"),
        ("NAMES", "DE=e u", "'DE=e u' names no region: a region's name has up to 100 characters and no spaces"),
        ("HEADER", "X-Region: eu", "must be like X-Region"),
        ("MMDB_FIELD", "city", "must be one of continent, country"),
    ],
)
def test_what_cannot_be_read_is_named_with_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(f"MEETINGPOOL_REGION_{name}", value)
    with pytest.raises(SettingsError) as refused:
        read_settings()
    assert f"MEETINGPOOL_REGION_{name}: {sentence}" in str(refused.value)
