"""The command line of Meetingpool. `commands/` is what can be typed; the modules beside it are what it does.

The modules of `commands/` import the others only when a command runs, so that help and completion come at once.
"""
