"""What a server proves itself with when it uploads recordings. The gateway asks for it, `meetingpool servers` shows it."""

import hmac
from hashlib import sha256

from meetingpool.domain.servers import Server


def upload_token(key: bytes, server: Server) -> str:
    """64 hexadecimal digits, as long as the server is there and keeps its secret. `key`: the installation's callback key."""
    text = f"upload:{len(server.id)}:{server.id}:{server.secret}"
    return hmac.new(key, text.encode(errors="surrogatepass"), sha256).hexdigest()
