import pytest

from meetingpool.domain.servers import AdminState, Health, Server, ServerId, normal_url


def server(admin_state: AdminState = AdminState.ENABLED, health: Health = Health.ONLINE) -> Server:
    return Server(id=ServerId("s"), url="https://bbb.example:8443/api/", secret="hush", admin_state=admin_state, health=health)


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://bbb.example", "https://bbb.example/bigbluebutton/api/"),
        ("https://bbb.example/", "https://bbb.example/bigbluebutton/api/"),
        ("https://bbb.example/bigbluebutton/api", "https://bbb.example/bigbluebutton/api/"),
        ("https://bbb.example/bigbluebutton/api///", "https://bbb.example/bigbluebutton/api/"),
        ("HTTPS://bbb.example/", "https://bbb.example/bigbluebutton/api/"),
        (" http://bbb.example:8080/api\n", "http://bbb.example:8080/api/"),
        ("http://[::1]:8090", "http://[::1]:8090/bigbluebutton/api/"),
    ],
)
def test_url_becomes_the_endpoint_of_an_api(url: str, normal: str) -> None:
    assert normal_url(url) == normal
    assert normal_url(normal) == normal


@pytest.mark.parametrize(
    "url",
    [
        "",
        "bbb.example",
        "bbb.example/bigbluebutton/api",
        "ftp://bbb.example/",
        "https://",
        "https:///bigbluebutton/api",
        "https://:443/",
        "https://user@bbb.example/",
        "https://user:password@bbb.example/",
        "https://bbb.example/?checksum=1",
        "https://bbb.example/#top",
        "https://bbb.example:99999/",
        "https://bbb.example:port/",
        "https://two words/",
        "https://two..dots/",
        "https://[::1/",
    ],
)
def test_what_is_no_endpoint_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(ValueError, match="Server URL must"):
        normal_url(url)


@pytest.mark.parametrize("admin_state", AdminState)
@pytest.mark.parametrize("health", Health)
def test_states_decide_what_a_server_may_have(admin_state: AdminState, health: Health) -> None:
    subject = server(admin_state, health)

    assert subject.takes_new_meetings == (admin_state is AdminState.ENABLED and health not in (Health.OFFLINE, Health.DEAD))
    assert subject.serves_joins == (admin_state is not AdminState.DISABLED and health is not Health.DEAD)


def test_new_server_takes_nothing_until_it_is_enabled_and_polled() -> None:
    assert not Server(id=ServerId("s"), url="https://bbb.example/", secret="hush").takes_new_meetings


def test_host_name_is_that_of_the_url() -> None:
    assert server().host_name == "bbb.example"


def test_secret_is_not_printed() -> None:
    assert "hush" not in repr(server())
