"""What a process that serves does not load: for nothing it would take megabytes in each of them."""

import subprocess
import sys

import pytest

LARGE = ("cryptography", "httpcore", "jinja2", "maxminddb", "rich")


@pytest.mark.parametrize("process", ["gateway", "poller"])
def test_process_loads_nothing_large_that_it_may_never_need(process: str) -> None:
    reading = "keys = meetingpool.secret_keys.Keyring(['k' * 32]); keys.unseal(keys.seal('a secret', 'here'), 'here')"
    code = f"import sys, {process}.__main__, meetingpool.secret_keys; {reading}; print(*sys.modules.keys() & {set(LARGE)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.split() == []
