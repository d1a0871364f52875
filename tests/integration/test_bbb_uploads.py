"""How a BBB host uploads recordings, before something that answers as gateways, proxies and wrong addresses do."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.bbb_hosts import RECORD_ID, BbbHost, new_bbb_host
from tests.unit.meetingpool.receivers import Authority, new_authority

TOKEN = "0123456789abcdef" * 4
EMPTY = (200, {"Upload-Offset": "0", "Upload-Complete": "?0"})
COMPLETE = (201, {"Upload-Complete": "?1"})
# Ends an upload.
UNEXPECTED: tuple[int, dict[str, str]] = (418, {})
# Who hears this and waits waits for longer than the test.
MUCH_LATER = {"Retry-After": "86400"}

# A status and headers, or a connection that ends without an answer.
Answer = tuple[int, dict[str, str]] | None


@pytest.fixture(autouse=True)
def programs() -> None:
    if not shutil.which("ruby"):
        pytest.skip("The scripts for BBB hosts need ruby; on Debian: apt install ruby")


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """One that the host trusts."""
    authority = new_authority(tmp_path)
    (tmp_path / "authority.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return authority


@pytest.fixture
def host(tmp_path: Path) -> BbbHost:
    host = new_bbb_host(tmp_path)
    host.publish("presentation")
    return host


@contextmanager
def answering(host: BbbHost, authority: Authority, *answers: Answer, **settings: object) -> Iterator[list[str]]:
    """What the host uploads to gives these answers, one after the other. What it was asked, as `method offset`."""
    asked: list[str] = []
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.take()

        def do_PATCH(self) -> None:
            self.take()

        def take(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            asked.append(f"{self.command} {self.headers.get('Upload-Offset', '')}".strip())
            has_token = self.headers["Authorization"] == f"Bearer {TOKEN}"
            answer = left.pop(0) if left and has_token else UNEXPECTED
            self.close_connection = answer is None
            if answer:
                self.send_response(answer[0])
                for name, value in {"Content-Length": "0", **answer[1]}.items():
                    self.send_header(name, value)
                self.end_headers()

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = authority.server("127.0.0.1").wrap_socket(server.socket, server_side=True)
        url = f"https://127.0.0.1:{server.server_address[1]}/bigbluebutton/uploads/bbb1"
        host.configure(**{"spool_dir": None, "upload_url": url, "upload_token": TOKEN, **settings})
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield asked
        finally:
            server.shutdown()
            serving.join()


def test_what_is_there_in_part_is_continued_and_what_is_complete_is_done(host: BbbHost, authority: Authority) -> None:
    (host.root / "token").write_text(f"{TOKEN}\n")
    part = (200, {"Upload-Offset": "1000"})
    with answering(host, authority, part, COMPLETE, upload_token=None, upload_token_file=str(host.root / "token")) as asked:
        assert host.post_publish("-m", RECORD_ID, "-f", "presentation") == 0
    assert asked == ["HEAD", "PATCH 1000"]
    assert host.sender_file().exists()
    assert list(host.work.iterdir()) == []
    assert host.batch("--dry-run").stdout == ""


def test_lost_answer_is_asked_for(host: BbbHost, authority: Authority) -> None:
    with answering(host, authority, EMPTY, None, (200, {"Upload-Complete": "?1"})) as asked:
        assert host.post_publish("-m", RECORD_ID) == 0
    assert asked == ["HEAD", "PATCH 0", "HEAD"]


@pytest.mark.parametrize("status", [408, 409, 423, 429, 500, 502, 503, 504, 507])
def test_what_may_pass_is_tried_again(host: BbbHost, authority: Authority, status: int) -> None:
    with answering(host, authority, EMPTY, (status, {"Retry-After": "0"}), EMPTY, COMPLETE) as asked:
        assert host.post_publish("-m", RECORD_ID) == 0
    assert asked == ["HEAD", "PATCH 0", "HEAD", "PATCH 0"]
    assert f"Meetingpool answered with status {status}" in host.log()
    assert TOKEN not in host.log()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((301, {"Location": "https://127.0.0.1:1/"}), "status 301"),
        ((401, {}), "it does not take the token"),
        ((404, {}), "it takes no uploads"),
        ((413, {}), "the archive is larger"),
        ((200, {}), "upload_url is not answered by Meetingpool"),
        ((200, {"Upload-Offset": "1000000000"}), "upload_url is not answered by Meetingpool"),
        ((503, MUCH_LATER), "status 503"),
        ((503, {"Retry-After": "Fri, 31 Dec 2199 23:59:59 GMT"}), "status 503"),
    ],
)
def test_what_does_not_pass_soon_is_told_and_made_up_for_by_the_batch(
    host: BbbHost, authority: Authority, capfd: pytest.CaptureFixture[str], answer: Answer, said: str
) -> None:
    with answering(host, authority, answer, EMPTY, COMPLETE) as asked:
        assert host.post_publish("-m", RECORD_ID) == 1
        assert asked == ["HEAD"]
        assert not host.sender_file().exists()
        assert host.batch().returncode == 0
    assert host.sender_file().exists()
    told = host.log() + "".join(capfd.readouterr())
    assert said in told
    assert TOKEN not in told


def test_without_progress_an_upload_ends(host: BbbHost, authority: Authority) -> None:
    with answering(host, authority, EMPTY, (204, {"Upload-Offset": "0"}), upload_patience=0) as asked:
        assert host.post_publish("-m", RECORD_ID) == 1
    assert asked == ["HEAD", "PATCH 0"]


def test_archive_that_never_arrives_as_it_was_sent_is_given_up(host: BbbHost, authority: Authority) -> None:
    with answering(host, authority, *3 * (EMPTY, (422, {"Upload-Offset": "0"}))) as asked:
        assert host.post_publish("-m", RECORD_ID) == 1
    assert asked == 3 * ["HEAD", "PATCH 0"]
    assert "what arrives is not what was sent" in host.log()


def test_stranger_gets_neither_token_nor_recording(host: BbbHost, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with answering(host, authority) as asked:
        assert host.post_publish("-m", RECORD_ID) == 1
    assert asked == []
    assert "the certificate of 127.0.0.1 is not good" in host.log()


@pytest.mark.parametrize(
    "settings",
    [
        {"spool_dir": "/var/spool"},
        {"upload_url": "http://pool.example/bigbluebutton/uploads/bbb1"},
        {"upload_url": f"https://bbb1:{TOKEN}@pool.example/bigbluebutton/uploads/bbb1"},
        {"upload_url": "https://pool.example/"},
        {"upload_url": "https://pool.example/bigbluebutton/uploads/bbb1?x"},
        {"upload_url": "https://pool.example/bigbluebutton/uploads/|"},
        {"upload_token": None},
        {"upload_token": f"{TOKEN}\nX: y"},
        {"upload_token_file": "/nonexistent"},
        {"upload_patience": -1},
    ],
)
def test_settings_of_uploads_are_checked(host: BbbHost, capfd: pytest.CaptureFixture[str], settings: dict[str, object]) -> None:
    url = "https://pool.example/bigbluebutton/uploads/bbb1"
    host.configure(**{"spool_dir": None, "upload_url": url, "upload_token": TOKEN, **settings})
    assert host.post_publish("-m", RECORD_ID) == 2
    told = "".join(capfd.readouterr())
    assert told.startswith("meetingpool_post_publish: ")
    assert TOKEN not in told
