"""Plays traces of meetings against a pool that is not there: which server each gets, and how full they become.

Nothing here reads the clock, the network or a database. `trace` and `runs` say what happens, `replay` lets it happen and asks a
policy of `policies`, `figures` says how it went; `generate` makes days up, `comparison` plays many of them, `picture` draws one.
"""
