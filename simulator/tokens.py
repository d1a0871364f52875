"""Signed tokens (JWT, RFC 7519) as the scripts on a BBB server make them. Called by `outward_calls.py`.

Made without the module that verifies them elsewhere, on purpose: tests then compare two implementations.
"""

import base64
import hmac
import json
from collections.abc import Mapping
from typing import Any

_DIGESTS = {"HS256": "sha256", "HS512": "sha512"}


def signed_token(header: Mapping[str, str], payload: Mapping[str, Any], secret: str) -> str:
    """The token of `payload`. `header` names the algorithm in `alg`, HS256 or HS512, and is sent as it is given."""
    signed = f"{_part(header)}.{_part(payload)}"
    return f"{signed}.{_base64url(hmac.digest(secret.encode(), signed.encode(), _DIGESTS[header['alg']]))}"


def _part(values: Mapping[str, Any]) -> str:
    return _base64url(json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode())


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
