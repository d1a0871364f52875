"""`meetingpool simulate …`

Not to be mixed up with `meetingpool simulator`, which is a BBB server for development.
"""

from pathlib import Path
from typing import Annotated

import typer

from admin.commands.arguments import Format, Style
from admin.commands.simulate_export import export
from admin.commands.simulate_options import (
    MOST_SECONDS,
    MOST_SERVERS,
    AdHoc,
    AdHocTail,
    Cancelled,
    Capacity,
    Changing,
    Days,
    EarlyLeavers,
    ExamDay,
    FromDay,
    PeoplePerServer,
    Seed,
    SizeNoise,
    ToDay,
    complete_policies,
)

app = typer.Typer(
    name="simulate", help="Play the meetings of --trace on a pool that is not there: how evenly would people be spread."
)
app.command("export")(export)

Servers = Annotated[int, typer.Option("--servers", min=1, max=MOST_SERVERS, metavar="N", help="How many servers the pool has.")]


@app.callback(invoke_without_command=True)
def simulate(
    context: typer.Context,
    trace: Annotated[Path | None, typer.Option("--trace", metavar="FILE", help="The meetings, a line of JSON for each.")] = None,
    servers: Servers = 10,
    policy: Annotated[
        str, typer.Option("--policy", metavar="NAME", help="Who chooses servers.", autocompletion=complete_policies)
    ] = "meetingpool",
    poll_interval: Annotated[
        float, typer.Option(min=1, max=MOST_SECONDS, metavar="SECONDS", help="Between two polls of the servers.")
    ] = 60.0,
    from_day: FromDay = None,
    to_day: ToDay = None,
    capacity: Capacity = 200,
    seed: Seed = 1,
    decisions: Annotated[
        Path | None, typer.Option("--decisions", metavar="FILE", help="Write down which server each meeting got.")
    ] = None,
    style: Style = Format.TABLE,
) -> None:
    """What the group does when it is called without a command."""
    if context.invoked_subcommand:
        _refuse_options_before(context)
        return
    if trace is None:
        raise typer.BadParameter("give the meetings; `meetingpool simulate generate` makes some up", param_hint="--trace")
    from admin.simulate import PlayOptions, show_play

    options = PlayOptions(
        trace=trace,
        servers=servers,
        policy=policy,
        poll_interval=poll_interval,
        from_day=from_day,
        to_day=to_day,
        capacity=capacity,
        seed=seed,
        decisions=decisions,
    )
    show_play(options, style)


def _refuse_options_before(context: typer.Context) -> None:
    """An option that would be of no effect is a mistake."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if source and source.name == "COMMANDLINE":
            raise typer.BadParameter(f"options come after the command {context.invoked_subcommand}", param_hint=name)


@app.command("generate")
def generate(
    servers: Servers = 10,
    days: Days = 14,
    people_per_server: PeoplePerServer = 45.0,
    ad_hoc: AdHoc = 0.3,
    ad_hoc_tail: AdHocTail = 0.9,
    size_noise: SizeNoise = 0.35,
    cancelled: Cancelled = 0.15,
    changing: Changing = 0.05,
    early_leavers: EarlyLeavers = 0.2,
    exam_day: ExamDay = None,
    seed: Seed = 1,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it. Default: standard output.")
    ] = None,
) -> None:
    """Make up a trace: days of meetings as universities and companies have them, as many as such a pool needs."""
    from admin.simulate import write_generated
    from admin.simulation.generate import Profile

    profile = Profile(
        servers=servers,
        days=days,
        seed=seed,
        people_per_server=people_per_server,
        ad_hoc=ad_hoc,
        ad_hoc_tail=ad_hoc_tail,
        size_noise=size_noise,
        cancelled=cancelled,
        changing=changing,
        early_leavers=early_leavers,
        exam_day=exam_day,
    )
    write_generated(profile, output)


@app.command("compare")
def compare(
    policies: Annotated[
        list[str] | None,
        typer.Option(
            "--policy", metavar="NAME", help="Default: meetingpool, bbblb and scalelite.", autocompletion=complete_policies
        ),
    ] = None,
    reference: Annotated[
        str, typer.Option(metavar="NAME", help="Who the others are compared with.", autocompletion=complete_policies)
    ] = "bbblb",
    trace: Annotated[
        Path | None, typer.Option("--trace", metavar="FILE", help="Play these meetings instead of some that are made up.")
    ] = None,
    servers: Annotated[
        list[int] | None, typer.Option("--servers", min=1, max=MOST_SERVERS, metavar="N", help="Default: 10 and 40.")
    ] = None,
    poll_intervals: Annotated[
        list[float] | None,
        typer.Option("--poll-interval", min=1, max=MOST_SECONDS, metavar="SECONDS", help="Default: 15 and 60."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="Play with so many seeds, from 1.")] = 3,
    days: Days = 14,
    from_day: FromDay = None,
    to_day: ToDay = None,
    capacity: Capacity = 200,
    people_per_server: PeoplePerServer = 45.0,
    ad_hoc: AdHoc = 0.3,
    ad_hoc_tail: AdHocTail = 0.9,
    size_noise: SizeNoise = 0.35,
    cancelled: Cancelled = 0.15,
    changing: Changing = 0.05,
    early_leavers: EarlyLeavers = 0.2,
    exam_day: ExamDay = None,
    processes: Annotated[
        int | None, typer.Option(min=1, max=256, metavar="N", help="How many play at once. Default: as many as processors.")
    ] = None,
    style: Style = Format.TABLE,
) -> None:
    """Play with several policies, pools, poll intervals and seeds: what each reached on average, and beside --reference."""
    from admin.simulate import CompareOptions, show_comparison
    from admin.simulation.generate import Profile

    profile = Profile(
        servers=1,
        days=days,
        people_per_server=people_per_server,
        ad_hoc=ad_hoc,
        ad_hoc_tail=ad_hoc_tail,
        size_noise=size_noise,
        cancelled=cancelled,
        changing=changing,
        early_leavers=early_leavers,
        exam_day=exam_day,
    )
    options = CompareOptions(
        policies=tuple(policies or ("meetingpool", "bbblb", "scalelite")),
        reference=reference,
        source=trace or profile,
        servers=tuple(servers or (10, 40)),
        poll_intervals=tuple(poll_intervals or (15.0, 60.0)),
        seeds=seeds,
        from_day=from_day,
        to_day=to_day,
        capacity=capacity,
        processes=processes,
    )
    show_comparison(options, style)


@app.command("picture")
def picture(
    seed: Seed = 1,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it. Default: standard output.")
    ] = None,
) -> None:
    """Draw how full the fullest of twenty servers is during a made-up morning, ours and others, as an SVG."""
    from admin.simulate import write_picture

    write_picture(seed, output)
