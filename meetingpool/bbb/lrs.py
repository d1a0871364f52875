"""`meta_secret-lrs-payload`: where a server shall send learning records, readable by that server only.

Source of the layout: Scalelite. It is what `openssl enc -aes-256-cbc -pbkdf2` writes, with noise where the word Salted__ stands.
"""

import json
import os
from base64 import b64encode
from hashlib import pbkdf2_hmac

_ROUNDS = 10_000
_KEY_BYTES, _IV_BYTES, _SALT_BYTES = 32, 16, 8


def lrs_by_password(endpoint: str, username: str, password: str) -> str:
    """What the server needs to get in with a password, as JSON."""
    return json.dumps({"lrs_endpoint": endpoint, "lrs_username": username, "lrs_password": password})


def lrs_by_token(endpoint: str, token: str) -> str:
    """What the server needs to get in with a token, as JSON."""
    return json.dumps({"lrs_endpoint": endpoint, "lrs_token": token})


def lrs_payload(access: str, secret: str) -> str:
    """`access` (JSON) encrypted for the server with `secret`."""
    # Imported by those who encrypt only: the library takes 6 MB of memory.
    from cryptography.hazmat.primitives import padding
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    salt = os.urandom(_SALT_BYTES)
    derived = pbkdf2_hmac("sha256", secret.encode(), salt, _ROUNDS, _KEY_BYTES + _IV_BYTES)
    padder = padding.PKCS7(algorithms.AES.block_size).padder()
    encryptor = Cipher(algorithms.AES(derived[:_KEY_BYTES]), modes.CBC(derived[_KEY_BYTES:])).encryptor()
    encrypted = encryptor.update(padder.update(access.encode()) + padder.finalize()) + encryptor.finalize()
    return b64encode(os.urandom(_SALT_BYTES) + salt + encrypted).decode()
