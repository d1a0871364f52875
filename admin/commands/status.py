"""`meetingpool status`"""

from admin.commands.arguments import Format, Style, Watch


def show(style: Style = Format.TABLE, watch: Watch = None) -> None:
    """Show how the servers are and what they carry."""
    from admin import output
    from admin.connection import with_database
    from admin.servers import status

    with output.until_interrupted(watch):
        with_database(lambda database, _: output.show(lambda: status(database), style, watch))
