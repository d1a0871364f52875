"""The reference pages say what the code does."""

from pathlib import Path

from admin.reference import settings_page

ROOT = Path(__file__).parents[2]


def test_the_page_of_settings_is_up_to_date() -> None:
    assert (ROOT / "docs/settings.md").read_text() == settings_page(), "run `make reference`"


def test_every_setting_says_what_it_means() -> None:
    assert "| None |" not in settings_page()
