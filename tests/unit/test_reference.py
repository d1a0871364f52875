"""The reference pages say what the code does."""

from pathlib import Path

from admin.command_reference import commands_page
from admin.reference import metrics_page, settings_page
from meetingpool.metrics import CATALOGUE

ROOT = Path(__file__).parents[2]


def test_the_page_of_settings_is_up_to_date() -> None:
    assert (ROOT / "docs/settings.md").read_text() == settings_page(), "run `make reference`"


def test_every_setting_says_what_it_means() -> None:
    assert "| None |" not in settings_page()


def test_the_page_of_metrics_is_up_to_date() -> None:
    assert (ROOT / "docs/metrics.md").read_text() == metrics_page(), "run `make reference`"


def test_every_label_says_what_it_stands_for() -> None:
    _, _, labels = metrics_page().partition("## What the labels say")
    for name in {name for metric in CATALOGUE for name in metric.labels}:
        assert f"{name}`" in labels or f"`{name}" in labels, name


def test_the_page_of_commands_is_up_to_date() -> None:
    assert (ROOT / "docs/cli.md").read_text() == commands_page(), "run `make reference`"


def test_every_command_and_option_says_what_it_does() -> None:
    lines = commands_page().splitlines()
    assert not [line for line in lines if line.endswith(("| |", "|  |")) and line != "| | |"]
    bare = [
        name for name, text in zip(lines, lines[2:], strict=False) if name.startswith("###") and (not text or text[0] in "#|")
    ]
    assert not bare
