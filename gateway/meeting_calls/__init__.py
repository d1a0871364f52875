"""A file per call of the meeting API: from a verified call to its answer."""
