import hashlib

import pytest

from meetingpool.bbb.checksum import ALL_ALGORITHMS, Algorithm, matching_secret, sign

SECRET = "639259d4-9dd8-4b25-bf01-95f9567eaf4b"
QUERY = b"name=Test+Meeting&meetingID=abc123&attendeePW=111222&moderatorPW=333444"
VECTORS = {
    Algorithm.SHA1: "1fcbb0c4fc1f039f73aa6d697d2db9ba7f803f17",
    Algorithm.SHA256: "da9185f7f333cfdfcd6eeac32dca3777510c4c436020d8b887ba5515bd1d189e",
    Algorithm.SHA384: "891ac633df39d0a1b4f8d597f3e190833216c4b29c4fb51ea3ca72757eeb958d6e7b49a845cf29f5c6019c7d29d029d1",
    Algorithm.SHA512: (
        "de73ad61d11a5c801b68d4bd6ec5248546085cefb0b25c85f3c46249ea93a3a4"
        "b120f92c0a8a58d7512cb77821884951a3b01245f3435dbbef49fff3cc3988b4"
    ),
}
each_algorithm = pytest.mark.parametrize(("algorithm", "checksum"), VECTORS.items())


@each_algorithm
def test_create_is_signed_as_documented(algorithm: Algorithm, checksum: str) -> None:
    assert sign("create", QUERY, SECRET, algorithm) == checksum


def test_call_without_parameters_is_signed_as_documented() -> None:
    assert sign("getMeetings", b"", SECRET, Algorithm.SHA1) == "2027baa7771026e9e93392f55031535d1444c41f"


@each_algorithm
def test_algorithm_is_known_by_the_length_of_the_checksum(algorithm: Algorithm, checksum: str) -> None:
    assert matching_secret("create", QUERY, checksum.encode(), [SECRET]) == 0


@each_algorithm
def test_upper_case_is_accepted(algorithm: Algorithm, checksum: str) -> None:
    assert matching_secret("create", QUERY, checksum.upper().encode(), [SECRET]) == 0


@each_algorithm
def test_algorithm_that_is_not_allowed_never_matches(algorithm: Algorithm, checksum: str) -> None:
    assert matching_secret("create", QUERY, checksum.encode(), [SECRET], ALL_ALGORITHMS - {algorithm}) is None


@pytest.mark.parametrize(
    "checksum",
    [
        b"",
        VECTORS[Algorithm.SHA1][:-1].encode(),
        VECTORS[Algorithm.SHA1].encode() + b"0",
        VECTORS[Algorithm.SHA256][:40].encode(),
        b" " + VECTORS[Algorithm.SHA1][1:].encode(),
        hashlib.md5(b"create" + QUERY + SECRET.encode(), usedforsecurity=False).hexdigest().encode(),
        b"\xff" * 40,
        "ä".encode() * 20,
    ],
)
def test_anything_else_does_not_match(checksum: bytes) -> None:
    assert matching_secret("create", QUERY, checksum, [SECRET]) is None


@pytest.mark.parametrize("call", ["Create", "end", "", "create/"])
def test_checksum_of_one_call_is_none_of_another(call: str) -> None:
    assert matching_secret(call, QUERY, VECTORS[Algorithm.SHA256].encode(), [SECRET]) is None


@pytest.mark.parametrize(
    ("secrets", "index"),
    [
        ([SECRET, "other"], 0),
        (["other", SECRET], 1),
        (["", SECRET], 1),
        (["other", SECRET, SECRET], 1),
        (["other", "another"], None),
        ([], None),
    ],
)
def test_index_tells_which_secret_matched_first(secrets: list[str], index: int | None) -> None:
    assert matching_secret("create", QUERY, VECTORS[Algorithm.SHA256].encode(), secrets) == index


@pytest.mark.parametrize("algorithm", Algorithm)
def test_empty_secret_never_matches(algorithm: Algorithm) -> None:
    checksum = sign("create", QUERY, "", algorithm).encode()

    assert matching_secret("create", QUERY, checksum, ["", "other"]) is None


def test_secret_beyond_ascii_counts_as_utf_8() -> None:
    checksum = hashlib.sha256(b"create" + QUERY + b"\xc3\xbc\xe2\x82\xac").hexdigest()

    assert sign("create", QUERY, "ü€") == checksum
    assert matching_secret("create", QUERY, checksum.encode(), ["u", "ü€"]) == 1
