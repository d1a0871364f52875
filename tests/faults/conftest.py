"""What tests of faults share."""

from collections.abc import Iterator

import pytest

from tests.faults.storage import shim
from tests.faults.storage.server import FaultServer


@pytest.fixture(scope="session")
def fault_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultServer]:
    """Runs operations whose calls go wrong."""
    server = FaultServer(shim.build(tmp_path_factory.mktemp("shim")))
    yield server
    server.stop()
