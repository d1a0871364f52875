"""What is signed and what is acted upon are the same, for every query that anybody could send."""

import re
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from meetingpool.bbb.checksum import Algorithm, matching_secret, sign
from meetingpool.bbb.errors import ApiError, ChecksumError
from meetingpool.bbb.query import encode, read_parameters, signed_as_java, split_query

CLIENTS: dict[str, Callable[[str], str]] = {
    "PHP": lambda text: quote_plus(text).replace("~", "%7E"),
    "bigbluebutton-api-php": quote_plus,
    "Ruby": lambda text: quote_plus(text, safe="*").replace("~", "%7E"),
    "Python": lambda text: quote(text, safe=""),
    "JavaScript": lambda text: quote(text, safe="~()*!'"),
    "lower-case escapes": lambda text: re.sub("%..", lambda escape: escape[0].lower(), quote_plus(text)),
}
CHECKSUM = b"0123456789" * 4


def as_used(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f\ufffe\uffff]", "", text).strip()


values = st.text(max_size=30).map(as_used)
names = values.filter(lambda name: name != "checksum")
parameter_maps = st.dictionaries(names, values, max_size=8)

pieces = st.sampled_from(
    [b"a", b"b", b"=", b"=1", b"+", b"%20", b"%41", b"%", b"%zz", b"%00", b"%c3%a4", b"%ff", b"checksum", b"?", b";"]
)
tokens = st.one_of(
    st.lists(pieces, max_size=5).map(b"".join),
    st.binary(max_size=12).map(lambda raw: raw.replace(b"&", b"")),
).filter(lambda token: not token.startswith(b"checksum="))
token_lists = st.lists(tokens, max_size=6)
raw_queries = st.one_of(
    st.binary(max_size=200),
    st.lists(st.one_of(tokens, st.just(b"checksum=" + CHECKSUM), st.just(b"checksum=")), max_size=8).map(b"&".join),
)


def meaning(raw_tokens: tuple[bytes, ...]) -> list[tuple[str, str]] | type[ApiError]:
    """What the tokens say, in their order, or how they are refused."""
    try:
        return list(read_parameters(raw_tokens).items())
    except ApiError as error:
        return type(error)


@pytest.mark.parametrize("client", CLIENTS)
@given(parameters=parameter_maps, position=st.integers(0, 8), algorithm=st.sampled_from(Algorithm))
def test_what_any_client_signs_verifies_and_is_read_as_it_was_meant(
    client: str, parameters: dict[str, str], position: int, algorithm: Algorithm
) -> None:
    written = [f"{CLIENTS[client](name)}={CLIENTS[client](value)}".encode() for name, value in parameters.items()]
    checksum = sign("create", b"&".join(written), "secret", algorithm)
    written.insert(min(position, len(written)), b"checksum=" + checksum.encode())

    query = split_query(b"&".join(written))

    assert matching_secret("create", query.signed, query.checksum, ["other", "secret"]) == 1
    assert list(read_parameters(query.tokens).items()) == list(parameters.items())


@given(parameters=parameter_maps)
def test_what_we_write_is_read_as_it_was_meant(parameters: dict[str, str]) -> None:
    assert read_parameters(split_query(encode(parameters.items()).encode()).tokens) == parameters


@given(raw=raw_queries)
def test_what_is_acted_upon_is_what_was_signed(raw: bytes) -> None:
    query = split_query(raw)

    again = split_query(query.signed)

    assert again.checksums == ()
    assert again.signed == query.signed
    assert meaning(again.tokens) == meaning(query.tokens)


@given(others=token_lists, position=st.integers(0, 6))
def test_checksum_changes_nothing_else_wherever_it_stands(others: list[bytes], position: int) -> None:
    with_checksum = [*others[:position], b"checksum=" + CHECKSUM, *others[position:]]

    query = split_query(b"&".join(with_checksum))

    assert query.checksum == CHECKSUM
    assert query.signed == b"&".join(others)
    assert meaning(query.tokens) == meaning(tuple(others))


@given(others=token_lists, position=st.integers(0, 6))
def test_signed_text_is_that_of_bbb_which_replaces_text(others: list[bytes], position: int) -> None:
    raw = b"&".join([*others[:position], b"checksum=" + CHECKSUM, *others[position:]])
    token = b"checksum=" + CHECKSUM

    assert split_query(raw).signed == raw.replace(b"&" + token, b"").replace(token + b"&", b"").replace(token, b"")


@given(signed=st.binary(min_size=1, max_size=100), data=st.data(), algorithm=st.sampled_from(Algorithm))
def test_any_other_byte_in_the_signed_text_breaks_the_match(signed: bytes, data: st.DataObject, algorithm: Algorithm) -> None:
    checksum = sign("create", signed, "secret", algorithm).encode()
    position = data.draw(st.integers(0, len(signed) - 1))
    replacement = data.draw(st.binary(max_size=2))
    changed = signed[:position] + replacement + signed[position + 1 :]
    assume(changed != signed)

    assert matching_secret("create", signed, checksum, ["secret"]) == 0
    assert matching_secret("create", changed, checksum, ["secret"]) is None


@given(checksum=st.binary(max_size=130), secrets=st.lists(st.text(max_size=10), max_size=3))
def test_guessed_checksum_never_matches_and_never_fails(checksum: bytes, secrets: list[str]) -> None:
    assert matching_secret("create", b"meetingID=room", checksum, secrets) is None


@given(raw=raw_queries)
def test_no_query_does_more_than_to_be_refused(raw: bytes) -> None:
    query = split_query(raw)

    with suppress(ApiError):
        assert query.checksum in query.checksums
    with suppress(ApiError):
        read_parameters(query.tokens)
    with suppress(ApiError):
        signed_as_java(query.tokens)


@given(parameters=parameter_maps, data=st.data())
def test_form_is_signed_alike_in_any_order_and_encoding(parameters: dict[str, str], data: st.DataObject) -> None:
    one, other = (
        [f"{encoder(name)}={encoder(value)}".encode() for name, value in data.draw(st.permutations(list(parameters.items())))]
        for encoder in (CLIENTS["JavaScript"], CLIENTS["PHP"])
    )

    # Names are not encoded in what BBB signs: one that holds a separator could be read in two ways.
    assume(not any(separator in name for name in parameters for separator in "&="))
    assert signed_as_java(one) == signed_as_java(other)


@given(parameters=parameter_maps, name=st.sampled_from(["a&b", "a=b", "guest=true&guestx"]))
def test_form_whose_names_could_be_read_in_two_ways_is_refused(parameters: dict[str, str], name: str) -> None:
    encoded = [f"{quote(key, safe='')}={quote(value, safe='')}".encode() for key, value in {**parameters, name: "1"}.items()]
    with pytest.raises(ChecksumError):
        signed_as_java(encoded)
