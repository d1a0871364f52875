"""The calls about recordings: a file per call, named like it."""
