"""Databases for tests: clones of a template that holds the whole schema and nothing else."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy import make_url

from meetingpool.database.engine import plain_url


def with_database(url: str, name: str) -> str:
    """The URL of another database on the same server."""
    return make_url(url).set(database=name).render_as_string(hide_password=False)


@asynccontextmanager
async def cloned_database(template_url: str) -> AsyncIterator[str]:
    """The URL of a new database like the template, which is dropped at the end."""
    name = f"test_{uuid.uuid4().hex}"
    maintenance = with_database(template_url, "postgres")
    await execute(maintenance, f"CREATE DATABASE {name} TEMPLATE {make_url(template_url).database}")
    try:
        yield with_database(template_url, name)
    finally:
        await execute(maintenance, f"DROP DATABASE {name} WITH (FORCE)")


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(plain_url(url))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
