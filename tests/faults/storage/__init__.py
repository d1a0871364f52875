"""Faults of the storage and deaths of workers, at every call: used by the tests of imports and changes.

A server process (`server.py`) has everything loaded, and a shim before libc that is asleep. For each run it forks; the child
wakes the shim and does one operation (`operations.py`) until the fault. What the operation begins with, and what must be there
after it, are the scenarios (`scenarios.py`). The stand (`stand.py`) sets them up in a database and a directory, has them run,
looks at what is there right after the fault, recovers as a worker does that was started again, and looks once more.
"""
