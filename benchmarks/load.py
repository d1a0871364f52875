"""`python -m benchmarks.load`: sends requests over connections that stay open, and counts the wrong answers.

In a process of its own, so that its CPU time is nobody else's. `ask` starts it with a job as JSON on its input.
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import uvloop

from benchmarks.processes import output_of

REPLY_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One GET for each of `paths`. A reply, its head included, is right when it holds `expected` exactly `times` times.

    `headers`: lines of more headers, each with its end.
    """

    port: int
    paths: list[str]
    concurrency: int
    expected: str
    times: int = 1
    headers: str = ""


@dataclass(slots=True)
class Outcome:
    """How many replies came that were right and wrong, and the beginning of the first wrong one."""

    right: int = 0
    wrong: int = 0
    first_wrong: str = ""


async def ask(job: Job) -> Outcome:
    """Runs `job` in a process of its own. Raises ProcessFailed."""
    return Outcome(**json.loads(await output_of("benchmarks.load", given=json.dumps(asdict(job)).encode())))


def main() -> None:
    json.dump(asdict(uvloop.run(_run(Job(**json.load(sys.stdin))))), sys.stdout)


async def _run(job: Job) -> Outcome:
    outcome, paths = Outcome(), iter(job.paths)
    await asyncio.gather(*(_ask_one_by_one(job, paths, outcome) for _ in range(min(job.concurrency, len(job.paths)))))
    return outcome


async def _ask_one_by_one(job: Job, paths: Iterator[str], outcome: Outcome) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", job.port)
    try:
        for path in paths:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{job.headers}\r\n".encode())
            async with asyncio.timeout(REPLY_TIMEOUT):
                _note(outcome, job, await _read_reply(reader))
    finally:
        writer.close()


async def _read_reply(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    headers = head.lower()
    if b"transfer-encoding: chunked" in headers:
        return head + await _read_chunks(reader)
    _, found, rest = headers.partition(b"content-length:")
    length = int(rest.partition(b"\r\n")[0]) if found else 0
    return head + await reader.readexactly(length)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    chunks = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        chunks.append((await reader.readexactly(size + 2))[:-2])
    await reader.readexactly(2)
    return b"".join(chunks)


def _note(outcome: Outcome, job: Job, reply: bytes) -> None:
    if reply.count(job.expected.encode()) == job.times:
        outcome.right += 1
        return
    outcome.wrong += 1
    outcome.first_wrong = outcome.first_wrong or reply[:1000].decode(errors="replace")


if __name__ == "__main__":
    main()
