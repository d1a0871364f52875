"""The listening socket of one gateway process, and how it is given up without losing a connection.

Several processes listen on one port, each with a socket of its own, and the kernel shares connections out among them. It resets
what is still in a socket's queue when that socket closes. So, before closing, new handshakes are dropped: their clients try
again a moment later and reach another process, while those that had begun are accepted and served.
"""

import ctypes
import socket
import struct
import sys
from contextlib import suppress

# Handshakes that had begun are through after this, in seconds; a client repeats a dropped one after a second.
SETTLING_SECONDS = 0.3

_SO_ATTACH_FILTER = 26
_SYN, _SYN_AND_ACK, _FLAGS_OFFSET = 0x02, 0x12, 13

# Classic BPF on the TCP header: drop what has SYN and not ACK, keep the rest. (code, jump if true, jump if false, operand)
_DROP_NEW_HANDSHAKES = (
    (0x30, 0, 0, _FLAGS_OFFSET),  # load the byte of flags
    (0x54, 0, 0, _SYN_AND_ACK),  # and with SYN|ACK
    (0x15, 0, 1, _SYN),  # equal to SYN?
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # keep
)


def open_listener(address: str, port: int) -> socket.socket:
    """A socket bound to the address, shared with other processes that open it the same way. Raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((address, port))
    return listener


def turn_away_new_connections(listener: socket.socket) -> None:
    """Drops handshakes that begin from now on. Where the system cannot, it does nothing."""
    if not sys.platform.startswith("linux"):
        return
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in _DROP_NEW_HANDSHAKES)
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("HP", len(_DROP_NEW_HANDSHAKES), ctypes.addressof(buffer))
    with suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
