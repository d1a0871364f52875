"""The payload that tells a server where to send learning records, against other ways to read and write it."""

import hmac
import json
import shutil
import subprocess
from base64 import b64decode, b64encode
from hashlib import pbkdf2_hmac, sha256

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from meetingpool.bbb.lrs import lrs_by_password, lrs_by_token, lrs_payload

ACCESS = lrs_by_password("https://lrs.example.org/xapi", "me", "pässword \"'&")
SECRET = "s3cret of the server ü"


def read_payload(payload: str, secret: str) -> str:
    """The access in a payload, read by its definition: no mode of operation, no padding and no derivation of a library."""
    noise_salt_encrypted = b64decode(payload, validate=True)
    salt, encrypted = noise_salt_encrypted[8:16], noise_salt_encrypted[16:]
    derived = b"".join(_derived_block(secret.encode(), salt, number) for number in (1, 2))
    key, previous = derived[:32], derived[32:48]
    text = b""
    for start in range(0, len(encrypted), 16):
        block = encrypted[start : start + 16]
        text += bytes(left ^ right for left, right in zip(_decrypted_block(key, block), previous, strict=True))
        previous = block
    padding = text[-1]
    assert 1 <= padding <= 16
    assert text.endswith(bytes([padding]) * padding)
    return text[:-padding].decode()


def _derived_block(secret: bytes, salt: bytes, number: int) -> bytes:
    """A block of PBKDF2 (RFC 8018, 5.2) with 10,000 rounds of HMAC-SHA256."""
    last = hmac.new(secret, salt + number.to_bytes(4, "big"), sha256).digest()
    result = int.from_bytes(last, "big")
    for _ in range(9_999):
        last = hmac.digest(secret, last, "sha256")
        result ^= int.from_bytes(last, "big")
    return result.to_bytes(32, "big")


def _decrypted_block(key: bytes, block: bytes) -> bytes:
    # Of one block, the mode is no mode.
    decryptor = Cipher(algorithms.AES(key), modes.ECB()).decryptor()  # noqa: S305
    return decryptor.update(block) + decryptor.finalize()


def test_access_is_json_with_scalelites_names() -> None:
    assert json.loads(ACCESS) == {
        "lrs_endpoint": "https://lrs.example.org/xapi",
        "lrs_username": "me",
        "lrs_password": "pässword \"'&",
    }
    assert json.loads(lrs_by_token("https://l", "t")) == {"lrs_endpoint": "https://l", "lrs_token": "t"}


@pytest.mark.parametrize("access", [ACCESS, "{}", "x" * 15, "x" * 16, "x" * 17])
def test_payload_is_read_by_its_definition(access: str) -> None:
    assert read_payload(lrs_payload(access, SECRET), SECRET) == access


def test_payload_is_read_by_openssl() -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("install openssl to compare the payload with what it reads")
    laid_out = b64decode(lrs_payload(ACCESS, SECRET))
    assert laid_out[:8] != b"Salted__"

    command = [openssl, "enc", "-d", "-aes-256-cbc", "-pbkdf2", "-iter", "10000", "-md", "sha256", "-a", "-A"]
    openssls = b64encode(b"Salted__" + laid_out[8:])
    read = subprocess.run([*command, "-pass", f"pass:{SECRET}"], input=openssls, capture_output=True, check=True, timeout=20)

    assert read.stdout.decode() == ACCESS


def test_no_two_payloads_are_alike() -> None:
    assert len({lrs_payload(ACCESS, SECRET)[:21] for _ in range(5)}) == 5


def test_another_servers_secret_does_not_read_it() -> None:
    noise_salt_encrypted = b64decode(lrs_payload(ACCESS, SECRET))
    derived = pbkdf2_hmac("sha256", b"another", noise_salt_encrypted[8:16], 10_000, 48)
    decryptor = Cipher(algorithms.AES(derived[:32]), modes.CBC(derived[32:])).decryptor()

    assert decryptor.update(noise_salt_encrypted[16:])[:14] != ACCESS.encode()[:14]
