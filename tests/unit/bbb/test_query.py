import hashlib

import pytest

from meetingpool.bbb.checksum import matching_secret
from meetingpool.bbb.errors import ChecksumError, ValidationError
from meetingpool.bbb.query import (
    MAX_PARAMETER_BYTES,
    MAX_PARAMETERS,
    encode,
    read_parameters,
    signed_as_java,
    split_query,
)


def parameters_of(raw: bytes) -> dict[str, str]:
    return read_parameters(split_query(raw).tokens)


@pytest.mark.parametrize(
    ("raw", "signed"),
    [
        (b"checksum=c&a=1&b=2", b"a=1&b=2"),
        (b"a=1&checksum=c&b=2", b"a=1&b=2"),
        (b"a=1&b=2&checksum=c", b"a=1&b=2"),
        (b"checksum=c", b""),
        (b"&checksum=c", b""),
        (b"checksum=c&", b""),
        (b"a=1&&checksum=c", b"a=1&"),
        (b"&&a=1&checksum=c", b"&&a=1"),
        (b"?a=1&checksum=c", b"?a=1"),
        (b"b=%2b&a=+&checksum=c", b"b=%2b&a=+"),
    ],
)
def test_signed_text_is_what_was_received_without_the_checksum(raw: bytes, signed: bytes) -> None:
    query = split_query(raw)

    assert query.checksum == b"c"
    assert query.signed == signed


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"a=1",
        b"checksum",
        b"CHECKSUM=c",
        b"Checksum=c",
        b"checksum[]=c",
        b"%63hecksum=c",
        b"+checksum=c",
        b"mychecksum=c",
        b"a=1;checksum=c",
        b"checksum=c&checksum=c",
        b"checksum=c&a=1&checksum=d",
    ],
)
def test_there_is_exactly_one_checksum_by_its_raw_name_or_the_call_is_refused(raw: bytes) -> None:
    with pytest.raises(ChecksumError):
        _ = split_query(raw).checksum


@pytest.mark.parametrize(
    "name", [b"%63hecksum", b"checksu%6D", b"checksum%00", b"+checksum", b"checksum%20", b"%0achecksum", b"checksum"]
)
def test_disguised_checksum_beside_the_real_one_is_refused(name: bytes) -> None:
    token = name if name == b"checksum" else name + b"=c"

    with pytest.raises(ChecksumError):
        parameters_of(b"a=1&" + token + b"&checksum=c")


@pytest.mark.parametrize("name", ["CHECKSUM", "checksum[]", "mychecksum"])
def test_name_that_only_resembles_the_checksum_is_a_parameter(name: str) -> None:
    assert parameters_of(f"{name}=c&checksum=d".encode()) == {name: "c"}


@pytest.mark.parametrize(
    ("raw", "parameters"),
    [
        (b"", {}),
        (b"a=1&b=2", {"a": "1", "b": "2"}),
        (b"a", {"a": ""}),
        (b"a=", {"a": ""}),
        (b"=1", {"": "1"}),
        (b"a=1=2", {"a": "1=2"}),
        (b"&&a=1&&", {"a": "1"}),
        (b"a=1;b=2", {"a": "1;b=2"}),
        (b"a=x+y%20z%2B", {"a": "x y z+"}),
        (b"a=%c3%a4%C3%84", {"a": "äÄ"}),
        (b"a=\xc3\xa4", {"a": "ä"}),
        (b"a=[x](y)~*'!", {"a": "[x](y)~*'!"}),
        (b"a=%zz%", {"a": "%zz%"}),
        (b"a=%00x%0d%0ay%7f", {"a": "xy"}),
        (b"a=%20x+y%09", {"a": "x y"}),
        (b"+a%00=1", {"a": "1"}),
        (b"meta_%C3%A4=1", {"meta_ä": "1"}),
        (b"a=1&a=1", {"a": "1"}),
        (b"a=1&a=+1%00", {"a": "1"}),
    ],
)
def test_tokens_are_decoded_as_bbb_would_use_them(raw: bytes, parameters: dict[str, str]) -> None:
    assert parameters_of(raw) == parameters


def test_parameters_keep_their_order() -> None:
    assert list(parameters_of(b"b=1&c=2&a=3")) == ["b", "c", "a"]


@pytest.mark.parametrize("raw", [b"meetingID=a&meetingID=b", b"meetingID=a&meeting%49D=b", b"meetingID=a&x=1&meetingID="])
def test_parameter_with_two_values_is_refused(raw: bytes) -> None:
    with pytest.raises(ValidationError, match="Parameter meetingID is given more than once"):
        parameters_of(raw)


@pytest.mark.parametrize(
    "value", [b"%ff", b"\xff", b"%c0%80", b"%C0%AF", b"%e0%80%af", b"%ed%a0%80", b"%f4%90%80%80", b"%c3", b"\xc3%28"]
)
def test_bytes_that_are_not_utf_8_are_refused(value: bytes) -> None:
    with pytest.raises(ChecksumError):
        parameters_of(b"a=" + value)
    with pytest.raises(ChecksumError):
        parameters_of(value + b"=1")
    with pytest.raises(ChecksumError):
        signed_as_java([b"a=" + value])


def test_as_many_parameters_as_allowed_are_read_and_no_more() -> None:
    tokens = [f"p{number}=1".encode() for number in range(MAX_PARAMETERS + 1)]

    assert len(read_parameters(tokens[:-1])) == MAX_PARAMETERS
    with pytest.raises(ValidationError, match="more than 500 parameters"):
        read_parameters(tokens)


def test_parameter_as_long_as_allowed_is_read_and_no_longer() -> None:
    token = b"a=".ljust(MAX_PARAMETER_BYTES, b"x")

    assert len(read_parameters([token])["a"]) == MAX_PARAMETER_BYTES - 2
    with pytest.raises(ValidationError, match="longer than 65536 bytes"):
        read_parameters([token + b"x"])


VALUE = "a b+c&d=e~f*g(h)!i'j\"k/l:m@n,o;p[q]r%sä"
REST = "j%22k%2Fl%3Am%40n%2Co%3Bp%5Bq%5Dr%25s%C3%A4"
AS_SENT_BY = {
    "PHP http_build_query": f"a+b%2Bc%26d%3De%7Ef%2Ag%28h%29%21i%27{REST}",
    "bigbluebutton-api-php": f"a+b%2Bc%26d%3De~f%2Ag%28h%29%21i%27{REST}",
    "Ruby encode_www_form_component": f"a+b%2Bc%26d%3De%7Ef*g%28h%29%21i%27{REST}",
    "Java URLEncoder": f"a+b%2Bc%26d%3De%7Ef*g%28h%29%21i%27{REST}",
    "Python quote_plus": f"a+b%2Bc%26d%3De~f%2Ag%28h%29%21i%27{REST}",
    "Python quote": f"a%20b%2Bc%26d%3De~f%2Ag%28h%29%21i%27{REST}",
    "JavaScript encodeURIComponent": f"a%20b%2Bc%26d%3De~f*g(h)!i'{REST}",
    "JavaScript URLSearchParams": f"a+b%2Bc%26d%3De%7Ef*g%28h%29%21i%27{REST}",
    "lower-case escapes": f"a+b%2Bc%26d%3De%7Ef*g%28h%29%21i%27{REST}".lower(),
    "only what must be": "a+b%2Bc%26d=e~f*g(h)!i'j\"k/l:m@n,o;p[q]r%25sä",
}


@pytest.mark.parametrize("client", AS_SENT_BY)
def test_every_clients_encoding_verifies_and_means_the_same(client: str) -> None:
    signed = f"name={AS_SENT_BY[client]}&meetingID=room".encode()
    checksum = hashlib.sha1(b"create" + signed + b"secret", usedforsecurity=False).hexdigest()

    query = split_query(signed + f"&checksum={checksum}".encode())

    assert matching_secret("create", query.signed, query.checksum, ["secret"]) == 0
    assert read_parameters(query.tokens) == {"name": VALUE, "meetingID": "room"}


def test_encoded_parameters_are_read_back_as_they_were() -> None:
    parameters = [("name", VALUE), ("empty", ""), ("meta_ä", "1 2")]

    assert encode(parameters).startswith(f"name={AS_SENT_BY['Python quote_plus']}&empty=&")
    assert parameters_of(encode(parameters).encode()) == dict(parameters)


@pytest.mark.parametrize(
    ("raw", "signed"),
    [
        (b"", b""),
        (b"b=2&a=1", b"a=1&b=2"),
        (b"b=1&B=2", b"B=2&b=1"),
        (b"a=%20x~*", b"a=+x%7E*"),
        (b"a=%c3%a4", b"a=%C3%A4"),
        (b"a=(x)!'", b"a=%28x%29%21%27"),
        (b"a=.-_", b"a=.-_"),
        (b"&a=1&&", b"a=1"),
        (b"checksum=c&a=1", b"a=1"),
        (b"meta%5Fx=1&a", b"a=&meta_x=1"),
    ],
)
def test_form_without_a_query_is_signed_as_java_would_write_it(raw: bytes, signed: bytes) -> None:
    assert signed_as_java(split_query(raw).tokens) == signed


@pytest.mark.parametrize(
    ("raw", "has_parameters"), [(b"", False), (b"checksum=c", False), (b"&checksum=c&", False), (b"a&checksum=c", True)]
)
def test_query_of_nothing_but_a_checksum_has_no_parameters(raw: bytes, has_parameters: bool) -> None:
    assert split_query(raw).has_parameters == has_parameters
