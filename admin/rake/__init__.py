"""Scalelite's tasks by their old names, for scripts that call them: `meetingpool rake "servers:enable[bbb1]"`.

What they print is what those scripts look for. What they do is done by the operations that the other commands call. Where a task
does something else than in Scalelite, it says so on standard error; docs/coming-from-scalelite.md lists these.
"""
