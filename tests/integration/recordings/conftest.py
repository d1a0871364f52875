"""A library of the test's own."""

from pathlib import Path

import pytest

from meetingpool.database.engine import Database
from tests.library import Library, made_library


@pytest.fixture
async def library(database: Database, tmp_path: Path) -> Library:
    return await made_library(database, tmp_path)
