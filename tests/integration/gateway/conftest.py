"""What tests of the gateway share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.management import ManagedPool, managed_pool


@pytest.fixture
async def managed(database_url: str, tmp_path: Path) -> AsyncIterator[ManagedPool]:
    """A pool with something of everything, to be managed."""
    async with managed_pool(database_url, tmp_path) as managed:
        yield managed
