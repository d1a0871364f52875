"""Clients of Scalelite's management API for tests: they sign as the scripts that people have do, with nothing of ours."""

import hashlib
import json
from typing import Any
from urllib.parse import urlencode

import httpx

from tests.pool import SECRET

ADDRESS = "http://gateway/scalelite/api"


class Manager:
    """Somebody with a secret of the load balancer. Only the name of a call and its query are signed, as with Scalelite."""

    def __init__(self, http: httpx.AsyncClient, *, secret: str = SECRET, algorithm: str = "sha1", address: str = ADDRESS) -> None:
        self.http = http
        self._secret = secret
        self._algorithm = algorithm
        self._address = address

    async def get(self, call: str, **query: str) -> httpx.Response:
        return await self.http.get(self.url(call, **query))

    async def post(self, call: str, body: object = None, **query: str) -> httpx.Response:
        """With `body` as JSON, or with no body."""
        if body is None:
            return await self.http.post(self.url(call, **query))
        headers = {"content-type": "application/json"}
        return await self.http.post(self.url(call, **query), content=json.dumps(body), headers=headers)

    async def servers(self) -> dict[str, dict[str, Any]]:
        """All servers by their ids."""
        return {server["id"]: server for server in (await self.get("getServers")).json()}

    def url(self, call: str, **query: str) -> str:
        signed = urlencode(query)
        checksum = hashlib.new(self._algorithm, f"{call}{signed}{self._secret}".encode()).hexdigest()
        return f"{self._address}/{call}?{signed}{'&' if signed else ''}checksum={checksum}"
