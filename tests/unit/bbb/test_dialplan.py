import re
from xml.parsers import expat

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from meetingpool.bbb.dialplan import NOT_FOUND, UNAVAILABLE, Keypad, bridge, prompt, reprompt, shown_caller

KEYPAD = Keypad(5, 9)

# Also surrogates, control characters and what FreeSWITCH gives a meaning to.
any_text = st.text(st.one_of(st.integers(0, 0x10FFFF).map(chr), st.sampled_from("${}\\,;'\"<>[]()|^&%\r\n\0 09+*#")), max_size=80)

INJECTIONS = [
    "${system(id)}",
    "$${domain}",
    "\\${x}",
    "\\\\${x}",
    "$${${x}}",
    "{origination_caller_id_number=0}sofia/external/0@evil",
    "[leg_timeout=1]x",
    "<leg_timeout=1>x",
    "x,sofia/external/1234@evil",
    "x|sofia/external/1234@evil",
    "x:_:sofia/external/1234@evil",
    "^^:a:b",
    "a\\,b",
    "a\\sb\\n",
    "a'b'c",
    'a"/><action application="system" data="id"/>',
    "]]><!--",
    "<!DOCTYPE a>",
    "&lt;&#36;{x}",
    "%24%7Bx%7D",
    "a\r\nVia: evil",
    "\u202e\u0000\ufffe\ud800",
]


def actions(document: bytes) -> list[tuple[str, str | None]]:
    """What a caller gets, in order. libxml2 and expat both take the document."""
    expat.ParserCreate().Parse(document, True)
    return [(action.get("application", ""), action.get("data")) for action in etree.fromstring(document).iter("action")]


def data_of(application: str, document: bytes) -> list[str]:
    return [data or "" for name, data in actions(document) if name == application]


def bridged(*, meeting_id: str = "room", caller: str = "Ada", pin: str = "123456789", host: str = "bbb1.example.org") -> bytes:
    return bridge(meeting_id=meeting_id, caller=caller, pin=pin, host=host)


def named(caller: str) -> str:
    return shown_caller(caller, hides_name=False, hides_number=False)


def test_refusal_is_the_document_that_freeswitch_takes_for_not_found() -> None:
    assert NOT_FOUND == (
        b'<document type="freeswitch/xml"><section name="result"><result status="not found"/></section></document>'
    )


def test_prompt_answers_the_number_that_was_called_and_asks_for_a_pin() -> None:
    assert prompt("6135551234", KEYPAD, hang_up_after=14_400) == (
        b'<document type="freeswitch/xml"><section name="dialplan" description="Match DID and Pin for Conference">'
        b'<context name="public"><extension name="match_did_and_prompt_for_pin">'
        b'<condition field="destination_number" expression="^6135551234$">'
        b'<action application="answer"/>'
        b'<action application="sched_hangup" data="+14400 normal_clearing"/>'
        b'<action application="sleep" data="500"/>'
        b'<action application="playback" data="ivr/ivr-welcome.wav"/>'
        b'<action application="sleep" data="200"/>'
        b'<action application="play_and_get_digits" data="5 9 3 7000 # conference/conf-enter_conf_pin.wav '
        b'conference/conf-bad-pin.wav pin \\d+"/>'
        b'<action application="transfer" data="${pin} XML public"/>'
        b"</condition></extension></context></section></document>"
    )


def test_call_without_a_limit_is_not_hung_up() -> None:
    limited, unlimited = (actions(prompt("6135551234", KEYPAD, hang_up_after=seconds)) for seconds in (60, 0))

    assert [action for action in limited if action not in unlimited] == [("sched_hangup", "+60 normal_clearing")]
    assert [action for action in unlimited if action not in limited] == []


def test_reprompt_asks_every_caller_again_with_the_same_rule_for_digits() -> None:
    assert reprompt(KEYPAD) == (
        b'<document type="freeswitch/xml"><section name="dialplan" description="Reprompt Pin for Conference">'
        b'<context name="public"><extension name="reprompt_for_pin"><condition>'
        b'<action application="playback" data="conference/conf-bad-pin.wav"/>'
        b'<action application="sleep" data="500"/>'
        b'<action application="play_and_get_digits" data="5 9 3 7000 # conference/conf-enter_conf_pin.wav '
        b'conference/conf-bad-pin.wav pin \\d+"/>'
        b'<action application="transfer" data="${pin} XML public"/>'
        b"</condition></extension></context></section></document>"
    )


@pytest.mark.parametrize("document", [prompt("6135551234", Keypad(7, 12), hang_up_after=0), reprompt(Keypad(7, 12))])
def test_keypad_takes_as_many_digits_as_it_is_told(document: bytes) -> None:
    (data,) = data_of("play_and_get_digits", document)

    assert data.split()[:2] == ["7", "12"]


def test_bridge_takes_the_caller_to_the_pin_on_the_server() -> None:
    assert bridge(meeting_id="room-1", caller="Ada L.", pin="594582149", host="bbb1.example.org") == (
        b'<document type="freeswitch/xml"><section name="dialplan" description="Bridge Call to BBB Server">'
        b'<context name="public"><extension name="bridge_to_bbb_server"><condition>'
        b'<action application="set" data="meeting_id=room-1"/>'
        b'<action application="set" data="effective_caller_id_name=Ada L."/>'
        b'<action application="bridge" data="sofia/external/594582149@bbb1.example.org"/>'
        b"</condition></extension></context></section></document>"
    )


@pytest.mark.parametrize(
    ("destination", "expression"),
    [
        ("6135551234", "^6135551234$"),
        ("+4930123456", "^[+]4930123456$"),
        ("*98#", "^[*]98#$"),
        ("1" * 32, f"^{'1' * 32}$"),
    ],
)
def test_number_that_was_called_matches_itself_and_nothing_else(destination: str, expression: str) -> None:
    root = etree.fromstring(prompt(destination, KEYPAD, hang_up_after=0))

    assert root.find(".//condition").get("expression") == expression  # type: ignore[union-attr]
    assert re.search(expression, destination)
    assert not re.search(expression, destination + "0")
    assert not re.search(expression, "0" + destination)


@pytest.mark.parametrize(
    "destination", ["", "1" * 33, "613 555", "613-555", "conference", "1\n", "\uff11\uff12", ".*", "1|2", *INJECTIONS]
)
def test_what_is_no_number_cannot_be_called(destination: str) -> None:
    assert prompt(destination, KEYPAD, hang_up_after=0) == NOT_FOUND


@pytest.mark.parametrize("pin", ["", "1" * 33, "12345a", "12345\n", "1 2", "*1", "\u0661\u0662", *INJECTIONS])
def test_what_is_no_pin_leads_nowhere(pin: str) -> None:
    assert bridged(pin=pin) == NOT_FOUND


@pytest.mark.parametrize(
    ("host", "dialled"),
    [
        ("bbb1.example.org", "bbb1.example.org"),
        ("bbb_1", "bbb_1"),
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "[2001:db8::7]"),
        ("b\xfccher.example", "xn--bcher-kva.example"),
    ],
)
def test_server_is_dialled_by_its_host_name(host: str, dialled: str) -> None:
    assert data_of("bridge", bridged(host=host)) == [f"sofia/external/123456789@{dialled}"]


@pytest.mark.parametrize("host", ["", "a b", "fe80::1%eth0", "a:b:g", "\xfc..example", "\xfc" * 70, "a@b", "a/b", *INJECTIONS])
def test_what_is_no_host_is_not_dialled(host: str) -> None:
    assert bridged(host=host) == NOT_FOUND


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Ada Lovelace", "Ada Lovelace"),
        ("Zo\xeb \u5f20\u4f1f", "Zo\xeb \u5f20\u4f1f"),
        ("5554321", "555XXXX"),
        ("1234", "XXXX"),
        ("12", "XX"),
        ("+4930123456", "+493012XXXX"),
        ("(030) 123-45 67", "030 123-XX XX"),
        ("\u0665\u0665\u0665\u0664\u0663\u0662\u0661", "\u0665\u0665\u0665XXXX"),
        ("Room 5554321", "Room 5554321"),
        ('O\'Brien "Bob" <x>', "OBrien Bob x"),
        ("  spaced \t\r\n", "spaced"),
        ("", UNAVAILABLE),
        (" \x00${}", UNAVAILABLE),
        ("a" * 100, "a" * 64),
    ],
)
def test_caller_is_shown_by_name_or_by_a_number_without_its_end(name: str, shown: str) -> None:
    assert named(name) == shown


@pytest.mark.parametrize(
    ("name", "hides_name", "hides_number", "shown"),
    [
        ("Ada", True, False, UNAVAILABLE),
        ("Ada", False, True, "Ada"),
        ("5554321", True, False, "555XXXX"),
        ("5554321", False, True, UNAVAILABLE),
        ("+49 30 123456", False, True, UNAVAILABLE),
    ],
)
def test_caller_who_hides_is_not_shown(name: str, hides_name: bool, hides_number: bool, shown: str) -> None:
    assert shown_caller(name, hides_name=hides_name, hides_number=hides_number) == shown


@pytest.mark.parametrize("text", INJECTIONS)
def test_what_freeswitch_would_interpret_is_taken_out(text: str) -> None:
    document = bridged(meeting_id=text, caller=named(text))

    assert [name for name, _ in actions(document)] == ["set", "set", "bridge"]
    meeting_id, caller = data_of("set", document)
    assert re.fullmatch(r"meeting_id=[A-Za-z0-9_.-]*", meeting_id)
    assert not set("${}\\,;'\"<>[]()|^&%") & set(caller)
    assert caller.isprintable()


def test_caller_that_was_not_cleaned_before_is_cleaned_all_the_same() -> None:
    (_, caller) = data_of("set", bridged(caller="${system(id)}"))

    assert caller == "effective_caller_id_name=systemid"


@given(any_text, any_text)
def test_no_prompt_carries_anything_from_outside_but_a_number(destination: str, ending: str) -> None:
    for called in (destination, f"613{ending}"):
        document = prompt(called, KEYPAD, hang_up_after=60)

        assert document == NOT_FOUND or re.fullmatch("[+0-9*#]{1,32}", called)
        actions(document)


@given(meeting_id=any_text, caller=any_text, pin=any_text, host=any_text)
def test_no_bridge_carries_what_could_be_interpreted(meeting_id: str, caller: str, pin: str, host: str) -> None:
    for document in (
        bridged(meeting_id=meeting_id, caller=caller, pin=pin, host=host),
        bridged(meeting_id=meeting_id, caller=named(caller)),
    ):
        assert not set(b"$\\{},;'()|^&%") & set(document)
        actions(document)


@given(any_text, st.booleans(), st.booleans())
def test_caller_that_is_shown_fits_and_means_nothing(name: str, hides_name: bool, hides_number: bool) -> None:
    shown = shown_caller(name, hides_name=hides_name, hides_number=hides_number)

    assert 0 < len(shown) <= 64
    assert shown.isprintable()
    assert not set("${}\\,;'\"<>[]()|^&%") & set(shown)


@given(st.text("0123456789 +-./()", min_size=1, max_size=64))
def test_no_number_is_shown_to_its_end(name: str) -> None:
    digits = re.sub("[^0-9]", "", name)

    assert re.sub("[^0-9]", "", named(name)) == digits[:-4]
