"""Draws how many people the hottest server had during a morning, one line for each policy, as an SVG for light and dark pages."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape
from math import ceil

from admin.simulation.generate import HOUR, Profile, generate
from admin.simulation.policies.names import OURS, make_policy
from admin.simulation.replay import Replay, replay
from admin.simulation.runs import Run, runs_of
from meetingpool.domain.timetable import DAY

# A week is behind the morning: rooms are known by then. Larger meetings would hide what happens to all others.
PROFILE = Profile(servers=20, days=8, largest=80)
POLICIES = (OURS, "bbblb", "scalelite", "least-meetings")
POLL_INTERVAL = 60.0
BEGIN, END = 7 * DAY + 7.75 * HOUR, 7 * DAY + 12.25 * HOUR

_WIDTH, _HEIGHT = 860, 430
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 74, 52
# A point each so many seconds: more than the width can show is of no use.
_STEP = 60.0
# Of each line its class; what it looks like is in the style. Colours have a contrast of 4.5 and more to what they are drawn on.
_STYLE = """
    svg { font: 13px system-ui, sans-serif }
    .page { fill: #ffffff } text { fill: #1f2328 } .grid { stroke: #d1d9e0 } .axis { stroke: #59636e }
    path, .key { fill: none; stroke-width: 1.6; stroke-linejoin: round }
    .line0 { stroke: #0550ae; stroke-width: 2.8 } .line1 { stroke: #9a3412; stroke-dasharray: 7 3 }
    .line2 { stroke: #6b21a8; stroke-dasharray: 2 3 } .line3 { stroke: #166534; stroke-dasharray: 9 3 2 3 }
    .share { stroke: #59636e; stroke-width: 1.2 }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117 } text { fill: #f0f6fc } .grid { stroke: #3d444d } .axis { stroke: #9198a1 }
      .line0 { stroke: #58a6ff } .line1 { stroke: #ffa657 } .line2 { stroke: #d2a8ff } .line3 { stroke: #56d364 }
      .share { stroke: #9198a1 }
    }
"""


@dataclass(frozen=True, slots=True)
class Line:
    """What is drawn: its name, its class, and how many people there were at which second."""

    name: str
    kind: str
    points: list[tuple[float, float]]


def draw(seed: int, policies: Sequence[str] = POLICIES) -> str:
    """The picture of the morning that `seed` makes."""
    profile = replace(PROFILE, seed=seed)
    runs, _ = runs_of(generate(profile))
    played = {policy: _replay(runs, policy, profile, seed) for policy in policies}
    lines = [Line(policy, f"line{number}", _hottest(each)) for number, (policy, each) in enumerate(played.items())]
    share = Line("what nobody can avoid", "share", _unavoidable(next(iter(played.values()))))
    # Ours comes last, above the others.
    return _picture([share, *reversed(lines)], profile.servers)


def _replay(runs: Sequence[Run], policy: str, profile: Profile, seed: int) -> Replay:
    chosen = make_policy(policy, runs, profile.servers, seed)
    return replay(runs, chosen, servers=profile.servers, poll_interval=POLL_INTERVAL, capacity=200)


def _hottest(played: Replay) -> list[tuple[float, float]]:
    return [(each.at, float(each.hottest)) for each in played.samples if _is_shown(each.at)]


def _unavoidable(played: Replay) -> list[tuple[float, float]]:
    return [(each.at, max(each.people / played.servers, each.biggest)) for each in played.samples if _is_shown(each.at)]


def _is_shown(at: float) -> bool:
    return BEGIN <= at <= END and at % _STEP == 0


def _picture(lines: Sequence[Line], servers: int) -> str:
    most = max(people for line in lines for _, people in line.points)
    step = 20 if most <= 160 else 50
    top = ceil(most / step) * step
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="title">',
        f'<title id="title">People on the fullest of {servers} servers during a simulated morning, by policy</title>',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{_WIDTH}" height="{_HEIGHT}"/>',
        f'<text x="{_LEFT}" y="24" font-weight="600">People on the fullest of {servers} servers, a Monday morning</text>',
        *_legend(lines),
        *_grid(top, step),
        *_hours(),
        *(f'<path class="{line.kind}" d="{_path(line, top)}"/>' for line in lines),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _legend(lines: Sequence[Line]) -> Iterable[str]:
    left = _LEFT
    for line in reversed(lines):
        yield f'<line class="key {line.kind}" x1="{left}" y1="48" x2="{left + 34}" y2="48"/>'
        yield f'<text x="{left + 40}" y="52">{escape(line.name)}</text>'
        left += 70 + 8 * len(line.name)


def _grid(top: int, step: int) -> Iterable[str]:
    for people in range(0, top + 1, step):
        y = _y(people, top)
        yield f'<line class="{"grid" if people else "axis"}" x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}"/>'
        yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{people}</text>'


def _hours() -> Iterable[str]:
    bottom = _HEIGHT - _BOTTOM
    for half in range(int(-(-BEGIN // (HOUR / 2))), int(END // (HOUR / 2)) + 1):
        x, minutes = _x(half * HOUR / 2), half * 30 % (24 * 60)
        yield f'<line class="axis" x1="{x:.1f}" y1="{bottom}" x2="{x:.1f}" y2="{bottom + 5}"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 20}" text-anchor="middle">{minutes // 60}:{minutes % 60:02}</text>'
    yield f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2:.0f}" y="{_HEIGHT - 10}" text-anchor="middle">time of day</text>'


def _path(line: Line, top: int) -> str:
    return "M" + "L".join(f"{_x(at):.1f} {_y(people, top):.1f}" for at, people in line.points)


def _x(at: float) -> float:
    return _LEFT + (at - BEGIN) / (END - BEGIN) * (_WIDTH - _LEFT - _RIGHT)


def _y(people: float, top: int) -> float:
    return _HEIGHT - _BOTTOM - people / top * (_HEIGHT - _TOP - _BOTTOM)
