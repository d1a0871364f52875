"""What the commands of `meetingpool simulate` do: they read and write files, and print figures."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from admin.commands.arguments import Format
from admin.output import Column, Listing, Record, write, write_record
from admin.simulation.comparison import Case, Outcome, Period, play_all, scores
from admin.simulation.figures import Figures, figures_of
from admin.simulation.generate import Profile, generate
from admin.simulation.picture import draw
from admin.simulation.policies.names import known_policy, make_policy
from admin.simulation.replay import replay
from admin.simulation.runs import runs_of
from admin.simulation.trace import TracedMeeting, read_trace, write_trace
from admin.whole_file import written_whole

# Digits after the point: more would say more than chance allows.
_DIGITS = 4

_COLUMNS = [
    Column("SERVERS", lambda each: each["servers"] or "all", is_number=True),
    Column("POLICY", lambda each: each["policy"]),
    Column("EXCESS", lambda each: f"{each['excess']:.3f}", is_number=True),
    Column("RATIO", lambda each: _two_digits(each["excess_ratio"]), is_number=True),
    Column("99 %", lambda each: f"{each['p99']:.2f}", is_number=True),
    Column("RATIO OF 99 %", lambda each: _two_digits(each["p99_ratio"]), is_number=True),
    Column("CROWDED MINUTES", lambda each: f"{each['crowded_minutes']:.0f}", is_number=True, can_be_spared=True),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayOptions:
    """What `simulate` was given."""

    trace: Path
    servers: int
    policy: str
    poll_interval: float
    from_day: int | None
    to_day: int | None
    capacity: int
    seed: int
    decisions: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """What `simulate compare` was given. A profile in `source` says what days are like, and nothing of servers and seed."""

    policies: tuple[str, ...]
    reference: str
    source: Profile | Path
    servers: tuple[int, ...]
    poll_intervals: tuple[float, ...]
    seeds: int
    from_day: int | None
    to_day: int | None
    capacity: int
    processes: int | None


def show_play(options: PlayOptions, style: Format) -> None:
    """Prints the figures of one play. Raises InvalidTrace, UnknownPolicy, NothingBusy or Refused."""
    known_policy(options.policy)
    trace = read_trace(options.trace)
    runs, run_of_line = runs_of(trace)
    policy = make_policy(options.policy, runs, options.servers, options.seed)
    played = replay(runs, policy, servers=options.servers, poll_interval=options.poll_interval, capacity=options.capacity)
    if options.decisions:
        _write_decisions(options.decisions, trace, [played.placed[run] for run in run_of_line])
    figures = figures_of(played, options.from_day, options.to_day)
    write_record(_play_record(options, len(trace), figures), style)


def _write_decisions(path: Path, trace: Sequence[TracedMeeting], servers: Sequence[int]) -> None:
    with written_whole(path, "decisions") as file:
        for meeting, server in zip(trace, servers, strict=True):
            file.write(json.dumps({"room": meeting.room, "start": meeting.start, "server": server}) + "\n")


def _play_record(options: PlayOptions, meetings: int, figures: Figures) -> Record:
    return {
        "policy": options.policy,
        "servers": options.servers,
        "poll_interval": options.poll_interval,
        "seed": options.seed,
        "from_day": options.from_day,
        "to_day": options.to_day,
        "capacity": options.capacity,
        "meetings": meetings,
        **_rounded(asdict(figures)),
    }


def write_generated(profile: Profile, output: Path | None) -> None:
    """Raises Refused."""
    with written_whole(output, "trace") as file:
        write_trace(generate(profile), file)


def write_picture(seed: int, output: Path | None) -> None:
    """Raises Refused."""
    with written_whole(output, "picture") as file:
        file.write(draw(seed))


def show_comparison(options: CompareOptions, style: Format) -> None:
    """Prints what policies reached. Raises InvalidTrace, UnknownPolicy, NothingBusy or Refused."""
    for policy in (*options.policies, options.reference):
        known_policy(policy)
    outcomes = play_with_progress(_cases(options), options.processes)
    records = [_rounded(asdict(score)) for score in scores(outcomes, options.reference)]
    write(
        Listing(
            names=list(records[0]),
            records=records,
            columns=_COLUMNS,
            when_empty="",
            summary=f"EXCESS: what the hottest server has above what nobody can avoid; RATIO: compared with {options.reference}",
        ),
        style,
    )


def _cases(options: CompareOptions) -> list[Case]:
    policies = tuple(dict.fromkeys((*options.policies, options.reference)))
    return [
        Case(
            source=_source(options.source, servers, seed),
            servers=servers,
            seed=seed,
            policies=policies,
            poll_intervals=options.poll_intervals,
            periods=(Period(from_day=options.from_day, to_day=options.to_day),),
            capacity=options.capacity,
        )
        for servers in dict.fromkeys(options.servers)
        for seed in range(1, options.seeds + 1)
    ]


def _source(source: Profile | Path, servers: int, seed: int) -> Profile | Path:
    return replace(source, servers=servers, seed=seed) if isinstance(source, Profile) else source


def play_with_progress(cases: Sequence[Case], processes: int | None) -> list[Outcome]:
    """Plays all cases while a bar says how far it is, if standard error is a terminal."""
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("playing", total=sum(case.servers * case.plays for case in cases))
        return play_all(cases, processes or os.cpu_count() or 1, lambda case: progress.advance(task, case.servers * case.plays))


def _two_digits(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _rounded(record: Record) -> dict[str, object]:
    return {name: round(value, _DIGITS) if isinstance(value, float) else value for name, value in record.items()}
