from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt

from meetingpool.secret_keys import Damaged, Keyring, NoSuchKey, key_id_of

FIRST = "a" * 32
SECOND = "b" * 32
PLACE = "servers.secret:one"
# Sealed by the version that introduced it. Every later version must read it.
SEALED_ONCE = "v1:24fcad5d:9cXCVgL3vn4twRmLBvJN91BP5RjiPsvFXQx4ZjMVMOFpz4XZG6eUZsNacKnKlgNx3KU"


@given(clear=st.text(st.characters(exclude_categories=["Cs"])), place=st.text(st.characters(exclude_categories=["Cs"])))
def test_what_was_sealed_is_read_again(clear: str, place: str) -> None:
    keyring = Keyring([FIRST])

    assert keyring.unseal(keyring.seal(clear, place), place) == clear


def test_sealed_value_shows_neither_secret_nor_key_and_is_never_the_same() -> None:
    keyring = Keyring([FIRST])

    once, again = keyring.seal("a-secret", PLACE), keyring.seal("a-secret", PLACE)

    assert once != again
    assert "a-secret" not in once
    assert b"a-secret" not in urlsafe_b64decode(once.split(":")[2] + "==")
    assert FIRST not in f"{once} {keyring!r} {keyring.ids} {vars(keyring)}"


def test_value_of_the_first_version_is_read() -> None:
    assert Keyring([FIRST]).unseal(SEALED_ONCE, PLACE) == "the secret"


def test_key_is_derived_by_hkdf() -> None:
    """So that other programs can read the values, given the key."""

    def derived(use: bytes) -> bytes:
        return HKDF(algorithm=SHA256(), length=32, salt=b"meetingpool secrets", info=use).derive(FIRST.encode())

    sealed = Keyring([FIRST]).seal("the secret", PLACE)
    version, key_id, encoded = sealed.split(":")
    raw = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))

    assert (version, key_id) == ("v1", derived(b"id").hex()[:8])
    place, key = f"v1:{PLACE}".encode(), derived(b"encrypt")
    assert crypto_aead_xchacha20poly1305_ietf_decrypt(raw[24:], place, raw[:24], key) == b"the secret"


def test_first_key_encrypts_and_all_decrypt() -> None:
    before, after = Keyring([FIRST]), Keyring([SECOND, FIRST])

    assert after.unseal(before.seal("old", PLACE), PLACE) == "old"
    assert key_id_of(after.seal("new", PLACE)) == after.ids[0] == Keyring([SECOND]).ids[0]


def test_value_is_read_where_it_stands_only() -> None:
    keyring = Keyring([FIRST])
    sealed = keyring.seal("a-secret", PLACE)

    for place in ("servers.secret:two", "alert_hooks.secret:one", "servers.secret:one ", ""):
        with pytest.raises(Damaged):
            keyring.unseal(sealed, place)


def test_every_changed_bit_is_found() -> None:
    keyring = Keyring([FIRST])
    head, encoded = keyring.seal("a-secret", PLACE).rsplit(":", 1)
    raw = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))

    for bit in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Damaged):
            keyring.unseal(f"{head}:{urlsafe_b64encode(changed).decode().rstrip('=')}", PLACE)


@pytest.mark.parametrize("cut", [1, 3, 8])
def test_what_was_cut_off_is_found(cut: int) -> None:
    keyring = Keyring([FIRST])
    sealed = keyring.seal("a-secret-that-is-long", PLACE)

    with pytest.raises(Damaged):
        keyring.unseal(sealed[:-cut], PLACE)


def test_missing_key_is_named() -> None:
    sealed = Keyring([FIRST]).seal("a-secret", PLACE)

    for keyring in (Keyring([SECOND]), Keyring()):
        with pytest.raises(NoSuchKey, match=f"^{key_id_of(sealed)}$"):
            keyring.unseal(sealed, PLACE)


def test_without_a_key_nothing_is_sealed() -> None:
    with pytest.raises(NoSuchKey):
        Keyring().seal("a-secret", PLACE)


@pytest.mark.parametrize("clear", ["", "a-secret", "v1:short", "v2:43a1f8b6:" + "A" * 60, "v1:43A1F8B6:" + "A" * 60])
def test_what_is_not_sealed_is_read_as_it_is(clear: str) -> None:
    assert Keyring().unseal(clear, PLACE) == clear
    assert key_id_of(clear) is None


def test_the_same_key_twice_is_one() -> None:
    assert Keyring([FIRST, SECOND, FIRST]).ids == Keyring([FIRST, SECOND]).ids
