"""`meetingpool simulate …` as it is typed."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import psutil  # type: ignore[import-untyped]
import pytest
from typer.testing import CliRunner, Result

from admin.app import app

IMAGES = Path(__file__).parents[3] / "docs" / "images"
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def simulate(*arguments: str | Path, exit_code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["simulate", *map(str, arguments)])
    assert result.exit_code == exit_code, result.output
    return result


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Two large meetings and two small ones, then one of the large rooms again."""
    file = tmp_path / "trace.jsonl"
    lines: list[dict[str, Any]] = [
        {"room": "t/a", "start": 0, "end": 3600, "people": [[0, 3600]] * 40},
        {"room": "t/b", "start": 60, "end": 3600, "people": [[60, 3600]] * 40},
        {"room": "t/c", "start": 120, "end": 3600, "people": [[120, 3600]] * 2},
        {"room": "d", "start": 180.5, "end": 3600, "people": [[181, 3600]] * 2},
        {"room": "t/a", "start": 1800, "end": 3600, "people": [[1800, 3600]] * 5},
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_figures_are_printed_and_decisions_written_in_the_order_of_the_trace(trace: Path, tmp_path: Path) -> None:
    decisions = tmp_path / "decisions.jsonl"

    result = simulate("--trace", trace, "--servers", "2", "--format", "json", "--decisions", decisions, "--capacity", "43")

    figures = json.loads(result.stdout)
    assert figures["policy"] == "meetingpool"
    assert figures["meetings"] == 5
    assert figures["most_people"] == 47
    assert figures["crowded_minutes"] == 47 * 30
    decided = [json.loads(line) for line in decisions.read_text().splitlines()]
    assert [(line["room"], line["start"]) for line in decided] == [
        ("t/a", 0),
        ("t/b", 60),
        ("t/c", 120),
        ("d", 180.5),
        ("t/a", 1800),
    ]
    servers = [line["server"] for line in decided]
    assert sorted(servers[:2]) == sorted(servers[2:4]) == [0, 1]
    assert servers[4] == servers[0]


@pytest.mark.parametrize("policy", ["bbblb", "scalelite", "least-meetings", "round-robin", "random", "two-choices", "oracle"])
def test_every_policy_can_be_played(trace: Path, policy: str) -> None:
    shown = simulate("--trace", trace, "--policy", policy, "--poll-interval", "15", "--format", "csv").stdout

    assert shown.splitlines()[1].startswith(f"{policy},10,15.0,")


def test_what_is_generated_can_be_played_and_is_the_same_each_time(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    options = ("generate", "--servers", "2", "--days", "2", "--seed", "7", "--exam-day", "1", "--ad-hoc", "0.4")
    simulate(*options, "--output", first)
    simulate(*options, "--output", second)

    assert first.read_text() == second.read_text() == simulate(*options).stdout
    assert "meetingpool" in simulate("--trace", first, "--servers", "2", "--from-day", "1").stdout


def test_policies_are_compared(trace: Path) -> None:
    made_up = ("--days", "1", "--seeds", "1", "--servers", "2", "--servers", "3", "--poll-interval", "60", "--processes", "1")
    shown = json.loads(simulate("compare", *made_up, "--format", "json").stdout)

    assert [(line["servers"], line["policy"]) for line in shown] == [
        (servers, policy) for servers in (2, 3, None) for policy in ("meetingpool", "bbblb", "scalelite")
    ]
    assert all(line["excess_ratio"] == 1 for line in shown if line["policy"] == "bbblb")
    table = simulate("compare", "--trace", trace, *made_up, "--policy", "oracle", "--reference", "random").stdout
    assert re.search(r"all +oracle .*\n.*all +random", table)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--policy", "best"], "No policy is called best: there are meetingpool,"),
        (["--from-day", "5"], "There are no busy times in these days of the trace"),
        (["--decisions", "/proc/none/file"], "The decisions cannot be written to /proc/none/file: No such file or directory"),
        (["--decisions", "/"], "/ is not a file: name another for the decisions"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(trace: Path, arguments: list[str], sentence: str) -> None:
    assert simulate("--trace", trace, *arguments, exit_code=1).stderr.startswith(sentence)


def test_a_bad_line_is_refused_and_no_decisions_are_left(trace: Path, tmp_path: Path) -> None:
    trace.write_text(trace.read_text() + "{}\n")

    result = simulate("--trace", trace, "--decisions", tmp_path / "decisions", exit_code=1)

    assert result.stderr == "Line 6 of the trace lacks room\n"
    assert [file.name for file in tmp_path.iterdir()] == ["trace.jsonl"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--servers", "5", "generate"],
        ["--trace", "x", "--servers", "0"],
        ["--trace", "x", "--poll-interval", "0"],
        ["--trace", "x", "--poll-interval", "nan"],
        ["generate", "--ad-hoc", "2"],
        ["generate", "--size-noise", "nan"],
        ["compare", "--seeds", "0"],
    ],
)
def test_wrong_usage_ends_with_exit_code_2(arguments: list[str]) -> None:
    simulate(*arguments, exit_code=2)


def test_the_picture_in_the_docs_is_what_the_command_draws() -> None:
    drawn, kept = simulate("picture").stdout, (IMAGES / "morning.svg").read_text()

    assert NUMBER.split(drawn) == NUMBER.split(kept)
    # In pixels: another machine may round a logarithm in another way.
    assert [*map(float, NUMBER.findall(drawn))] == pytest.approx([*map(float, NUMBER.findall(kept))], abs=1)
    paths = ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}path")  # noqa: S314
    assert sorted(path.attrib["class"] for path in paths) == ["line0", "line1", "line2", "line3", "share"]


def test_lines_and_texts_of_the_picture_stand_out_on_light_and_dark_pages() -> None:
    light, dark = simulate("picture").stdout.split("@media", 1)
    for style in (light, dark):
        page = re.search(r"\.page \{ fill: (#\w+)", style)
        assert page
        drawn = re.findall(r"(?:text|\.line\d|\.share) \{ (?:fill|stroke): (#\w+)", style)
        assert len(drawn) == 6
        assert all(contrast(colour, page[1]) >= 4.5 for colour in drawn)


def contrast(one: str, other: str) -> float:
    """As WCAG 2 has it."""
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_what_plays_knows_nothing_of_databases_and_networks() -> None:
    code = "import sys; import admin.simulation.comparison, admin.simulation.picture; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert not {"asyncpg", "sqlalchemy", "meetingpool.database", "meetingpool.bbb", "ssl", "asyncio"} & set(loaded)


def test_a_comparison_that_is_killed_leaves_no_process() -> None:
    command = [sys.executable, "-m", "admin", "simulate", "compare", "--servers", "60", "--seeds", "2", "--processes", "2"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as comparison:
        parent = psutil.Process(comparison.pid)
        # The first child of a spawning process is its resource tracker, which ends when nobody needs it.
        while comparison.poll() is None and len(parent.children()) < 3:
            pass
        children = parent.children()
        comparison.terminate()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    assert len(children) == 3
