"""Small charts as SVG: they need no script, and are drawn by attributes alone, as the policy of the pages wants it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from markupsafe import Markup

# Of the drawing, in its own units; the page gives it its size.
_SPARK = (120.0, 26.0)
# Of a chart, in pixels: its place for the line, and above and below it. Across, it is as wide as its place on the page.
_ABOVE, _TALL, _BELOW = 16.0, 132.0, 22.0
_WIDE = 1000.0
# What may be missing within a line: samples are taken every few minutes, and steps may be shorter.
_LONGEST_GAP = timedelta(minutes=6)

# Points of a line, in pieces between which nothing is known.
Runs = list[list[tuple[float, float]]]
_GRID_LINES = 4
# By how long a chart is: how far apart its times are, and how they are written.
_TICKS = (
    (timedelta(minutes=20), timedelta(minutes=2), "%H:%M"),
    (timedelta(hours=2), timedelta(minutes=10), "%H:%M"),
    (timedelta(days=2), timedelta(hours=4), "%H:%M"),
    (timedelta.max, timedelta(days=1), "%a %d"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Values at equal steps of time; None where nothing was seen. `name`: what is counted."""

    name: str
    begin: datetime
    step: timedelta
    values: Sequence[float | None]

    @property
    def highest(self) -> float:
        return max((value for value in self.values if value is not None), default=0.0)

    @property
    def is_empty(self) -> bool:
        return all(value is None for value in self.values)


def load_bar(share: float, label: str) -> Markup:
    """A bar that is full at 1."""
    width = round(100 * min(1.0, max(0.0, share)), 1)
    return Markup(
        '<svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<rect class="track" width="100" height="6"/><rect class="fill" width="{}" height="6"/></svg>'
    ).format(label, width)


def sparkline(series: Series, top: float, label: str) -> Markup:
    """A line of values below `top`, with nothing around it."""
    width, height = _SPARK
    runs = _runs(series, width, 1.5, height - 1.5, top)
    if not runs:
        return Markup('<span class="none" title="Nothing was recorded yet">–</span>')
    return Markup(
        '<svg class="spark" viewBox="0 0 {:g} {:g}" preserveAspectRatio="none" role="img" aria-label="{}">{}{}</svg>'
    ).format(width, height, label, _areas(runs, height), _lines(runs))


def chart(series: Series, summary: str) -> Markup:
    """A series with its axes. `summary`: what it shows, for those who do not see it."""
    top = round_top(series.highest)
    runs = _runs(series, _WIDE, 0.0, _TALL, top)
    line = Markup(
        '<svg y="{:g}" width="100%" height="{:g}" viewBox="0 0 {:g} {:g}" preserveAspectRatio="none">{}{}</svg>'
    ).format(_ABOVE, _TALL, _WIDE, _TALL, _areas(runs, _TALL), _lines(runs))
    return Markup(
        '<svg class="chart" height="{:g}" role="img" aria-label="{}" data-name="{}" data-begin="{}" data-step="{:g}" '
        'data-values="{}">{}{}{}</svg>'
    ).format(
        _ABOVE + _TALL + _BELOW,
        summary,
        series.name,
        series.begin.isoformat(),
        series.step.total_seconds(),
        " ".join("-" if value is None else f"{value:g}" for value in series.values),
        _grid(top),
        line,
        _ticks(series),
    )


def round_top(highest: float) -> float:
    """A round number from `highest` on that divides well into four."""
    unit = 4.0
    while unit < highest:
        for factor in (1.0, 2.0, 3.0, 5.0):
            if unit * factor >= highest:
                return unit * factor
        unit *= 10.0
    return unit


def _runs(series: Series, width: float, ceiling: float, floor: float, top: float) -> Runs:
    """The points of the line, `top` at the `ceiling`."""
    across = width / max(1, len(series.values) - 1)
    up = (floor - ceiling) / (top or 1.0)
    runs: Runs = []
    bridged = max(1, int(_LONGEST_GAP / series.step))
    last = -bridged - 1
    for number, value in enumerate(series.values):
        if value is None:
            continue
        if number - last > bridged:
            runs.append([])
        runs[-1].append((number * across, floor - min(value, top or 1.0) * up))
        last = number
    return [run if len(run) > 1 else [run[0], (run[0][0] + across / 2, run[0][1])] for run in runs]


def _lines(runs: Runs) -> Markup:
    path = "".join("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in run) for run in runs)
    return Markup('<path class="line" d="{}"/>').format(path)


def _areas(runs: Runs, floor: float) -> Markup:
    path = "".join(
        f"M{run[0][0]:.1f} {floor:g}L" + "L".join(f"{x:.1f} {y:.1f}" for x, y in run) + f"L{run[-1][0]:.1f} {floor:g}Z"
        for run in runs
    )
    return Markup('<path class="area" d="{}"/>').format(path)


def _grid(top: float) -> Markup:
    line = Markup('<line class="grid" x2="100%" y1="{0:.1f}" y2="{0:.1f}"/>')
    label = Markup('<text y="{:.1f}">{:g}</text>')
    heights = [(number, _ABOVE + _TALL * (1 - number / _GRID_LINES)) for number in range(_GRID_LINES + 1)]
    # The lowest line needs no label, and the curve is often there.
    labels = [label.format(y - 4, top * number / _GRID_LINES) for number, y in heights if number]
    return Markup("").join([*(line.format(y) for _, y in heights), *labels])


def _ticks(series: Series) -> Markup:
    """Times below the chart."""
    whole = series.step * max(1, len(series.values) - 1)
    every, style = next((each, style) for longest, each, style in _TICKS if whole <= longest)
    midnight = series.begin.replace(hour=0, minute=0, second=0, microsecond=0)
    first = (series.begin - midnight) // every
    ticks = []
    for number in range(int(whole / every) + 2):
        at = midnight + (first + number) * every
        share = (at - series.begin) / whole
        if 0.03 <= share <= 0.97:
            ticks.append(
                Markup('<text class="{}" x="{:.2f}%" y="{:g}" text-anchor="middle" data-at="{}">{}</text>').format(
                    "tick odd" if number % 2 else "tick", 100 * share, _ABOVE + _TALL + 16, at.isoformat(), at.strftime(style)
                )
            )
    return Markup("").join(ticks)
