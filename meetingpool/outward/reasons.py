"""Why a connection failed, in words that may be shown."""

import os
import socket
import ssl
from collections.abc import Iterator


def reason_of(error: BaseException) -> str:
    """What was wrong at the bottom, in words of the system: without addresses, and nothing of what was sent."""
    for inner in _chain(error):
        match inner:
            case ssl.SSLCertVerificationError():
                return f"the certificate is not believed ({inner.verify_message})"
            case socket.gaierror():
                return str(inner.strerror)
            case OSError(errno=int(number)) if not isinstance(inner, ssl.SSLError):
                return os.strerror(number)
    return type(error).__name__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
