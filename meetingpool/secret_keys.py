"""The keys that secrets in the database are encrypted with: XChaCha20-Poly1305, each value bound to the place where it stands.

A sealed value is the text `v1:<id of the key>:<base64url of nonce, ciphertext and tag>`. What is not of this form is from a
version that kept secrets as they are, and is read as it is. Made from the settings by every process; carried by `Database`.
"""

import hashlib
import hmac
import os
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from meetingpool.secret_files import SecretUnusable, kept_secret, private_text, read_keys
from meetingpool.settings import Settings, SettingsError

_VERSION = "v1"
_SEALED = re.compile(rf"{_VERSION}:([0-9a-f]{{8}}):([A-Za-z0-9_-]{{54,}})")
# Long enough to be drawn by chance, however many values one key encrypts.
_NONCE_BYTES = 24


class NoSuchKey(Exception):
    """None of the keys has the id that a value names."""


class Damaged(Exception):
    """A value was changed, or belongs to another place."""


class Keyring:
    """Keys by their ids. The first one encrypts, all decrypt. `texts`: the keys as the settings give them."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._keys = {key.id: key for key in map(_derived, texts)}

    @property
    def ids(self) -> tuple[str, ...]:
        """Of all keys, the one that encrypts first."""
        return tuple(self._keys)

    def seal(self, clear: str, place: str) -> str:
        """`clear` encrypted with the first key, so that it can be read at `place` only. Raises NoSuchKey when there is none."""
        if not self._keys:
            raise NoSuchKey
        key = next(iter(self._keys.values()))
        return f"{_VERSION}:{key.id}:{key.encrypt(clear, place)}"

    def unseal(self, kept: str, place: str) -> str:
        """What was sealed, or was kept clear, at `place`. Raises NoSuchKey or Damaged."""
        sealed = _SEALED.fullmatch(kept)
        if sealed is None:
            return kept
        key = self._keys.get(sealed[1])
        if key is None:
            raise NoSuchKey(sealed[1])
        return key.decrypt(sealed[2], place)


def key_id_of(kept: str) -> str | None:
    """The id of the key that `kept` is encrypted with; None when it is kept clear."""
    sealed = _SEALED.fullmatch(kept)
    return sealed[1] if sealed else None


def keyring_of(settings: Settings) -> Keyring:
    """The keys of the settings, else the one that was generated, else none. Raises SettingsError with what to do."""
    path = generated_key_file(settings)
    if path is None:
        return Keyring(settings.secret_key or settings.secret_key_file)
    try:
        return Keyring(read_keys(private_text(path)) if path.exists() else ())
    except (SecretUnusable, OSError) as error:
        raise SettingsError(f"The key in {path} cannot be used: {error}") from None


def made_keyring(settings: Settings) -> Keyring:
    """As `keyring_of`; when there is no key, one is generated. Raises SettingsError."""
    if path := generated_key_file(settings):
        try:
            kept_secret(path)
        except SecretUnusable as error:
            raise SettingsError(f"The key in {path} cannot be used: {error}") from None
    return keyring_of(settings)


def generated_key_file(settings: Settings) -> Path | None:
    """Where the key is, or would be, that is generated when the settings give none; None when they give one."""
    return None if settings.secret_key or settings.secret_key_file else settings.data_dir / "secret_key"


@dataclass(frozen=True)
class _Key:
    id: str
    _bytes: bytes

    def __repr__(self) -> str:
        return f"_Key({self.id})"

    # What encrypts is imported by those who read secrets only.

    def encrypt(self, clear: str, place: str) -> str:
        from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt

        nonce = os.urandom(_NONCE_BYTES)
        encrypted = crypto_aead_xchacha20poly1305_ietf_encrypt(clear.encode(), _bound_to(place), nonce, self._bytes)
        return urlsafe_b64encode(nonce + encrypted).decode().rstrip("=")

    def decrypt(self, encoded: str, place: str) -> str:
        from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt
        from nacl.exceptions import CryptoError

        try:
            raw = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
            nonce, encrypted = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
            return crypto_aead_xchacha20poly1305_ietf_decrypt(encrypted, _bound_to(place), nonce, self._bytes).decode()
        except (CryptoError, ValueError):
            raise Damaged from None


def _derived(text: str) -> _Key:
    """HKDF (RFC 5869) with SHA-256, which makes of any text with enough chance in it a key, and apart from it the key's id."""
    pseudorandom = hmac.digest(b"meetingpool secrets", text.encode(), hashlib.sha256)
    # One block is all that either needs.
    expanded = {use: hmac.digest(pseudorandom, use + b"\x01", hashlib.sha256) for use in (b"encrypt", b"id")}
    return _Key(expanded[b"id"].hex()[:8], expanded[b"encrypt"])


def _bound_to(place: str) -> bytes:
    return f"{_VERSION}:{place}".encode()
