"""`meetingpool rake …`"""

from typing import Annotated

import typer


def complete_tasks(incomplete: str) -> list[str]:
    """The names of tasks."""
    from admin.rake.tasks import TASKS

    return [name for name in TASKS if name.startswith(incomplete)]


def rake(
    tasks: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TASK…]", help='As "servers:enable[bbb1]"; quoted.', autocompletion=complete_tasks),
    ] = None,
    list_all: Annotated[bool, typer.Option("--tasks", "-T", help="List all tasks, as without any.")] = False,
) -> None:
    """Carry out tasks by the names that they have in Scalelite, for old scripts."""
    from admin.rake.tasks import list_tasks, run_tasks

    if list_all:
        list_tasks()
    else:
        run_tasks(tasks or [])
