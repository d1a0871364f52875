"""The options of `meetingpool servers add` and `set` that say what a server can carry."""

from collections.abc import Mapping
from typing import Annotated

import typer

from meetingpool.domain.server_limits import LIMITS

Limit = int | None

MaxMeetings = Annotated[Limit, typer.Option(min=1, metavar="N", help="It gets no new meeting beyond so many.")]
MaxUsers = Annotated[Limit, typer.Option(min=1, metavar="N", help="It gets no new meeting for more people than that.")]
SoftMeetings = Annotated[Limit, typer.Option(min=1, metavar="N", help="Beyond so many only if no other server has room.")]
SoftUsers = Annotated[Limit, typer.Option(min=1, metavar="N", help="The same in people.")]

_DEFAULT = "The limit of the settings, if there is one."
NoMaxMeetings = Annotated[bool, typer.Option("--no-max-meetings", help=_DEFAULT)]
NoMaxUsers = Annotated[bool, typer.Option("--no-max-users", help=_DEFAULT)]
NoSoftMeetings = Annotated[bool, typer.Option("--no-soft-meetings", help=_DEFAULT)]
NoSoftUsers = Annotated[bool, typer.Option("--no-soft-users", help=_DEFAULT)]


def given(*limits: Limit) -> dict[str, Limit]:
    """Those that are given, in the order of LIMITS, by their names."""
    return {name: limit for name, limit in zip(LIMITS, limits, strict=True) if limit is not None}


def taken_away(limits: Mapping[str, Limit], *without: bool) -> dict[str, Limit]:
    """None for each limit that is to go."""
    gone = [name for name, is_gone in zip(LIMITS, without, strict=True) if is_gone]
    if both := [name.replace("_", "-") for name in gone if name in limits]:
        raise typer.BadParameter(f"give either --{both[0]} or --no-{both[0]}")
    return dict.fromkeys(gone)
