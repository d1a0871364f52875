"""`python -m benchmarks.bare_fetch ROUNDS`: the least a poller could do, all documents fetched and none read.

Started by `poll_round.py`, which gives it the URLs as a JSON array on its input. Writes, as JSON, the seconds of CPU that each
round took it.
"""

import asyncio
import json
import sys
import time

import aiohttp
from yarl import URL

AT_ONCE = 64


def main() -> None:
    urls = [URL(url, encoded=True) for url in json.load(sys.stdin)]
    json.dump(asyncio.run(_rounds(urls, int(sys.argv[1]))), sys.stdout)


async def _rounds(urls: list[URL], rounds: int) -> list[float]:
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        await _round(session, urls)
        return [await _round(session, urls) for _ in range(rounds)]


async def _round(session: aiohttp.ClientSession, urls: list[URL]) -> float:
    began = time.process_time()
    await asyncio.gather(*(_fetch(session, url) for url in urls))
    return time.process_time() - began


async def _fetch(session: aiohttp.ClientSession, url: URL) -> None:
    async with session.get(url, headers={"Accept-Encoding": "identity"}) as reply:
        reply.raise_for_status()
        await reply.read()


if __name__ == "__main__":
    main()
