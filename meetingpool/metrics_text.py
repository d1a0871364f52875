"""Writes metrics as Prometheus reads them: its text format, version 0.0.4.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from meetingpool.metrics import Kind, Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# The numbers of one metric by the values of its labels: one number, or one for each bucket and their sum.
Series = Mapping[tuple[str, ...], Sequence[float]]

_TYPES = {Kind.GAUGE_HISTOGRAM: "histogram"}
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def family(metric: Metric, series: Series) -> str:
    """The lines of one metric; "" when there is nothing of it."""
    if not series:
        return ""
    lines = [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {_TYPES.get(metric.kind, metric.kind)}"]
    if not metric.bounds:
        lines += [f"{metric.name}{_braces(_labels(metric, values))} {number(cells[0])}" for values, cells in series.items()]
        return "\n".join((*lines, ""))
    for values, cells in series.items():
        labels = _labels(metric, values)
        lines += _buckets(metric, labels, cells)
        if metric.kind is Kind.HISTOGRAM:
            lines += _sums(metric, labels, cells, ("sum", "count"))
    if metric.kind is Kind.GAUGE_HISTOGRAM:
        lines += _gauges(metric, series)
    return "\n".join((*lines, ""))


def number(value: float) -> str:
    """As short as it can be without losing anything."""
    return str(int(value)) if value.is_integer() else repr(value)


def _buckets(metric: Metric, labels: str, cells: Sequence[float]) -> Iterator[str]:
    """In a bucket count those of all smaller ones as well."""
    before = f'{metric.name}_bucket{{{labels}{labels and ","}le="'
    bounds: Iterable[str] = (*map(repr, metric.bounds), "+Inf")
    return (f'{before}{bound}"}} {number(sum_)}' for bound, sum_ in zip(bounds, accumulate(cells[:-1]), strict=True))


def _sums(metric: Metric, labels: str, cells: Sequence[float], suffixes: Sequence[str]) -> Iterator[str]:
    numbers = {"sum": cells[-1], "count": sum(cells[:-1])}
    return (f"{metric.name}_{suffix}{_braces(labels)} {number(float(numbers[suffix.lstrip('g')]))}" for suffix in suffixes)


def _gauges(metric: Metric, series: Series) -> Iterator[str]:
    """The sums of what goes up and down may not be called as those of a histogram are."""
    for suffix in ("gcount", "gsum"):
        yield f"# HELP {metric.name}_{suffix} {metric.help}"
        yield f"# TYPE {metric.name}_{suffix} gauge"
        for values, cells in series.items():
            yield from _sums(metric, _labels(metric, values), cells, (suffix,))


def _labels(metric: Metric, values: Sequence[str]) -> str:
    return ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in zip(metric.labels, values, strict=True))


def _braces(labels: str) -> str:
    return f"{{{labels}}}" if labels else ""
