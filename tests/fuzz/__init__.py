"""Throws spoilt requests at a gateway, in this process and as fast as it answers, and looks at every answer.

`python -m tests.fuzz` (or `make fuzz`) does it for long, tests/integration/test_fuzz.py for a few seconds.
"""
