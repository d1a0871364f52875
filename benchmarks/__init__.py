"""How much CPU a call or a round of polls costs, as a ratio to the least that any program would need for it.

`python -m benchmarks` runs real processes (gateway, poller, PostgreSQL, simulated servers) and reads their CPU time; the clock on
the wall decides nothing. `docs/benchmarks.md` explains the figures.
"""
