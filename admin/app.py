"""The entry of the command line: which commands there are, and what becomes of an error. Installed as `meetingpool`.

Exit codes: 0 done, 1 refused or failed with one sentence that says what to do, 2 wrong usage.
"""

from typing import Any

import typer
from typer.core import TyperGroup

from admin.commands import (
    alerts,
    audit,
    callbacks,
    check,
    database,
    doctor,
    keys,
    meetings,
    plan,
    poll,
    processes,
    rake,
    recordings,
    servers,
    simulate,
    status,
    tenants,
    tokens,
    usage,
)
from admin.commands.arguments import DEFAULT_INTERVAL
from admin.refusals import is_expected, sentence_of


class RefusingGroup(TyperGroup):
    """Turns expected errors into their sentence and exit code 1, in this one place."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, with_default_interval(args))

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            if not is_expected(error):
                raise
            typer.echo(sentence_of(error), err=True)
            raise typer.Exit(1) from None


def with_default_interval(arguments: list[str]) -> list[str]:
    """`--watch` may stand alone, which the parser has no notion of: it then means every two seconds."""
    if arguments[:1] == ["check"]:
        # There -w is a threshold, as in all plugins of monitoring systems.
        return arguments
    completed: list[str] = []
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        completed.append(argument)
        if argument in ("--watch", "-w") and not following[:1].isdigit():
            completed.append(DEFAULT_INTERVAL)
    return completed


app = typer.Typer(
    cls=RefusingGroup,
    name="meetingpool",
    help="Meetingpool: one BigBlueButton server in front of many.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(servers.app, name="servers")
app.add_typer(meetings.app, name="meetings")
app.add_typer(recordings.app, name="recordings")
app.add_typer(tenants.app, name="tenants")
app.add_typer(callbacks.app, name="callbacks")
app.add_typer(alerts.app, name="alerts")
app.add_typer(poll.app, name="poll")
app.add_typer(database.app, name="db")
app.add_typer(keys.app, name="keys")
app.add_typer(tokens.app, name="tokens")
app.add_typer(audit.app, name="audit")
app.add_typer(simulate.app, name="simulate")
app.command("status")(status.show)
app.command("check", cls=check.Plugin)(check.check)
app.command("doctor")(doctor.doctor)
app.command("rake")(rake.rake)
app.command("usage")(usage.show)
app.command("plan")(plan.show)
app.command("up")(processes.up)
app.command("gateway")(processes.gateway)
app.command("poller")(processes.poller)
app.command("demo")(processes.demo)
app.command("simulator", context_settings=processes.PASSED_ON)(processes.simulator)


def main() -> None:
    app()
