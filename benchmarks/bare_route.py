"""`python -m benchmarks.bare_route PORT`: the least a gateway could do, one Starlette route that says ok. Started by `calls.py`.

Under uvicorn exactly as the gateway configures it, so that what the two differ in is our code.
"""

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route


async def ok(_request: Request) -> Response:
    return PlainTextResponse("ok")


def main() -> None:
    uvicorn.run(
        Starlette(routes=[Route("/ok", ok)]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        backlog=2048,
        timeout_keep_alive=65,
    )


if __name__ == "__main__":
    main()
