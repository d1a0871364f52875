"""What Meetingpool knows and decides, as pure values and functions: no I/O, no clock, standard library only."""
