"""The scripts for BBB hosts, run as BBB and cron run them, in directories laid out as BBB's."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from meetingpool.bbb.checksum import Algorithm, sign
from meetingpool.bbb.recording_documents import OPENING, closing, fill, no_recordings, render
from meetingpool.domain.recordings import PlaybackFormat, RecordId, Recording, RecordingState
from tests.bbb_hosts import RECORD_ID, SCRIPTS, BbbHost, new_bbb_host

OTHER_ID = f"{'b' * 40}-1700000000000"
SECRET = "a secret"


@pytest.fixture(autouse=True)
def programs() -> None:
    if missing := [name for name in ("ruby", "rsync") if not shutil.which(name)]:
        pytest.skip(f"The scripts for BBB hosts need {' and '.join(missing)}; on Debian: apt install {' '.join(missing)}")


@pytest.fixture
def host(tmp_path: Path) -> BbbHost:
    return new_bbb_host(tmp_path)


def test_every_archive_holds_what_is_published_by_then(host: BbbHost) -> None:
    host.publish("presentation")
    assert host.post_publish("-m", RECORD_ID, "-f", "presentation") == 0
    assert host.formats() == ["presentation"]

    host.publish("video")
    assert host.post_publish("-m", RECORD_ID, "-f", "video") == 0
    assert host.formats() == ["presentation", "video"]
    assert [path.name for path in host.spool.iterdir()] == [f"{RECORD_ID}.tar"]
    assert list(host.work.iterdir()) == []
    assert f"{RECORD_ID}: delivered presentation, video" in host.log()


def test_format_that_is_being_copied_is_left_for_later(host: BbbHost) -> None:
    host.publish("presentation")
    host.copy("video")
    assert host.post_publish("-m", RECORD_ID, "-f", "presentation") == 0
    assert host.formats() == ["presentation"]
    assert host.post_publish("-m", RECORD_ID, "-f", "video") == 0
    assert host.formats() == ["presentation", "video"]


def test_recording_whose_status_files_are_gone_is_delivered_by_hand(host: BbbHost) -> None:
    host.copy("presentation")
    assert host.post_publish("-m", RECORD_ID) == 0
    assert host.formats() == ["presentation"]


def test_settings_of_scalelite_are_read_where_there_are_no_others(host: BbbHost) -> None:
    (host.root / "scripts" / "meetingpool.yml").rename(host.root / "scripts" / "scalelite.yml")
    host.publish("presentation")
    assert host.post_publish("-m", RECORD_ID, "-f", "presentation") == 0
    assert host.formats() == ["presentation"]


def test_linked_script_finds_its_settings(host: BbbHost) -> None:
    script = host.root / "scripts" / "post_publish" / "meetingpool_post_publish.rb"
    script.unlink()
    script.symlink_to(SCRIPTS / script.name)
    host.publish("presentation")
    assert host.post_publish("-m", RECORD_ID, "-f", "presentation") == 0
    assert host.formats() == ["presentation"]


def test_other_host_is_reached_by_rsync_over_ssh(host: BbbHost) -> None:
    host.program("other-ssh", 'while [ "$1" != rsync ]; do echo "$1" >> "$0.log"; shift; done; exec "$@"')
    host.configure(spool_dir=f"me@pool.example:{host.spool}", extra_rsync_opts=["-e", "other-ssh"])
    host.publish("presentation")
    assert host.post_publish("-m", RECORD_ID, "-f", "presentation") == 0
    assert host.formats() == ["presentation"]
    assert "pool.example" in (host.root / "bin" / "other-ssh.log").read_text()


def test_nothing_published_is_nothing_to_do(host: BbbHost) -> None:
    assert host.post_publish("-m", RECORD_ID, "-f", "presentation") == 0
    assert list(host.spool.iterdir()) == []
    assert not host.sender_file().exists()


@pytest.mark.parametrize(
    "arguments", [(), ("-m",), ("-m", "../x"), ("-m", f"{RECORD_ID}\n"), ("-m", RECORD_ID, "-f", "a/b"), ("--what",)]
)
def test_wrong_usage_is_said_and_does_nothing(host: BbbHost, arguments: Sequence[str], capfd: pytest.CaptureFixture[str]) -> None:
    host.publish("presentation")
    assert host.post_publish(*arguments) == 2
    assert capfd.readouterr().err.startswith("meetingpool_post_publish: ")
    assert list(host.spool.iterdir()) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"spool_dir": ""},
        {"spool_dir": "--delete"},
        {"extra_rsync_opts": ["--inplace"]},
        {"extra_rsync_opts": ["--remove-source-files"]},
    ],
)
def test_settings_that_would_lose_recordings_are_refused(host: BbbHost, settings: dict[str, object]) -> None:
    host.configure(**settings)
    host.publish("presentation")
    assert host.post_publish("-m", RECORD_ID, "-f", "presentation") == 2


def test_failed_delivery_is_told_and_made_up_for(host: BbbHost, capfd: pytest.CaptureFixture[str]) -> None:
    host.publish("presentation")
    host.publish("presentation", OTHER_ID)
    host.spool.rmdir()
    assert host.post_publish("-m", RECORD_ID, "-f", "presentation") == 1
    assert "the spool directory" in capfd.readouterr().err
    assert "not delivered: the spool directory" in host.log()
    assert not host.sender_file().exists()
    assert host.batch().returncode == 1

    host.spool.mkdir()
    assert host.batch().returncode == 0
    assert [host.formats(record_id) for record_id in (RECORD_ID, OTHER_ID)] == [["presentation"], ["presentation"]]


@pytest.mark.parametrize("program", ["tar", "rsync"])
def test_recording_is_not_delivered_when_a_program_fails(host: BbbHost, program: str) -> None:
    host.program(program, "exit 23")
    host.configure(delete_recording=True)
    host.publish("presentation")
    host.publish("video")
    assert host.post_publish("-m", RECORD_ID, "-f", "video") == 1
    assert not host.sender_file().exists()
    assert list(host.work.iterdir()) == []
    assert list((host.status / "published").glob("*sender*")) == []
    assert host.deleted == []


def test_two_runs_for_one_recording_wait_for_each_other(host: BbbHost) -> None:
    host.program(
        "tar", f'mkdir "{host.root}/busy" || exit 1; /usr/bin/env -i "$(command -pv tar)" "$@" && rmdir "{host.root}/busy"'
    )
    for name in ("presentation", "podcast", "notes", "video"):
        host.publish(name)
    script = "post_publish/meetingpool_post_publish.rb"
    runs = [host.start("ruby", script, "-m", RECORD_ID, "-f", name) for name in ("presentation", "podcast", "notes", "video")]
    assert [run.wait() for run in runs] == [0, 0, 0, 0]
    assert host.formats() == ["notes", "podcast", "presentation", "video"]
    assert list(host.work.iterdir()) == []


def test_recording_is_deleted_when_its_last_format_has_been_delivered(host: BbbHost) -> None:
    host.configure(delete_recording=True)
    host.publish("presentation")
    assert host.post_publish("-m", RECORD_ID, "-f", "presentation") == 0
    assert host.deleted == []
    assert host.sender_file().exists()

    host.publish("video")
    assert host.post_publish("-m", RECORD_ID, "-f", "video") == 0
    assert host.deleted == [f"--delete {RECORD_ID}"]
    assert host.formats() == ["presentation", "video"]


def test_batch_delivers_what_is_not_delivered_as_it_is(host: BbbHost) -> None:
    host.delivered("presentation", days_ago=1)
    host.publish("presentation", OTHER_ID)
    assert host.batch("--dry-run").stdout.split() == [OTHER_ID]
    assert host.batch().returncode == 0
    assert [path.name for path in host.spool.iterdir()] == [f"{OTHER_ID}.tar"]
    assert host.batch("--dry-run").stdout == ""

    host.publish("video")
    assert host.batch("--dry-run").stdout.split() == [RECORD_ID]
    assert host.batch("--dry-run", "--all").stdout.split() == [RECORD_ID, OTHER_ID]
    assert host.batch().returncode == 0
    assert host.formats() == ["presentation", "video"]


def test_batch_goes_on_after_a_failure_and_says_so_in_the_end(host: BbbHost) -> None:
    host.publish("presentation")
    host.publish("presentation", OTHER_ID)
    (host.work / f"{RECORD_ID}.tar").mkdir(parents=True)
    assert host.batch().returncode == 1
    assert host.formats(OTHER_ID) == ["presentation"]


def test_second_batch_leaves_the_work_to_the_first(host: BbbHost) -> None:
    host.publish("presentation")
    held = ["flock", str(host.status / "published"), *host.batch_command()]
    run = subprocess.run(held, env=host.environment, capture_output=True, text=True, check=False)
    assert (run.returncode, list(host.spool.iterdir())) == (0, [])
    assert "another run is not over yet" in run.stderr


def test_batch_refuses_what_it_does_not_know(host: BbbHost) -> None:
    assert host.batch("--what").returncode == 2
    shutil.rmtree(host.status)
    assert host.batch().returncode == 2


def test_old_recording_is_pruned_when_everything_of_it_was_delivered(host: BbbHost) -> None:
    host.delivered("video", days_ago=5)
    host.delivered("presentation", days_ago=5)
    host.delivered("video", days_ago=3, record_id=OTHER_ID)
    host.delivered("presentation", days_ago=3, record_id=OTHER_ID)
    assert host.prune("--dry-run") == 0
    assert host.deleted == []
    assert host.prune() == 0
    assert host.deleted == [f"--delete {RECORD_ID}"]
    assert not host.sender_file().exists()
    assert f"{RECORD_ID}: deleted" in host.log("meetingpool-prune.log")
    assert host.prune() == 0
    assert len(host.deleted) == 1


def test_recording_that_was_never_delivered_is_not_pruned(host: BbbHost) -> None:
    host.delivered("presentation", days_ago=50)
    host.delivered("video", days_ago=50)
    host.sender_file().unlink()
    assert host.prune() == 0
    assert host.deleted == []


def test_recording_with_a_format_that_came_later_is_not_pruned(host: BbbHost) -> None:
    host.delivered("presentation", days_ago=50)
    host.publish("video")
    assert host.prune() == 0
    assert host.deleted == []
    assert "kept, since it was not delivered as it is" in host.log("meetingpool-prune.log")


def test_pruning_waits_for_formats_to_come_but_not_for_failed_ones(host: BbbHost) -> None:
    host.delivered("presentation", days_ago=50)
    assert host.prune() == 0
    assert host.deleted == []
    assert "BBB has not published video" in host.log("meetingpool-prune.log")

    (host.status / "processed" / f"{RECORD_ID}-video.fail").touch()
    assert host.prune() == 0
    assert host.deleted == [f"--delete {RECORD_ID}"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_pruning_as_root_does_not_lock_out_the_user_of_bbb(host: BbbHost) -> None:
    host.delivered("presentation", days_ago=50)
    os.chown(host.status, 12345, 12346)
    assert host.prune() == 0
    assert (host.work.stat().st_uid, host.work.stat().st_gid) == (12345, 12346)


@contextmanager
def balancer(host: BbbHost, *documents: bytes) -> Iterator[None]:
    """Something that answers getRecordings for RECORD_ID with these `<recording>` elements."""
    query = f"recordID={RECORD_ID}&state=any"
    checksum = sign("getRecordings", query.encode(), SECRET, Algorithm.SHA256)
    target = f"/bigbluebutton/api/getRecordings?{query}&checksum={checksum}"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == target else 401)
            self.end_headers()
            self.wfile.write(OPENING + fill(b"".join(documents), "http://x") + closing() if documents else no_recordings())

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}/bigbluebutton/api/"
        host.configure(balancer_url=url, balancer_secret=SECRET, prune_after_days=0)
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield
        finally:
            server.shutdown()
            serving.join()


def listed(*formats: str, record_id: str = RECORD_ID, state: RecordingState = RecordingState.PUBLISHED) -> bytes:
    playbacks = tuple(PlaybackFormat(name=name, link="/x") for name in formats)
    return render(Recording(record_id=RecordId(record_id), tenant="", meeting_id="room", state=state, formats=playbacks))


@pytest.mark.parametrize(
    ("documents", "is_deleted"),
    [
        ((listed("video", "presentation"),), True),
        ((listed("video", "presentation", state=RecordingState.UNPUBLISHED),), True),
        ((listed(state=RecordingState.DELETED),), True),
        ((listed("presentation"),), False),
        ((listed("presentation"), listed("presentation", "video", record_id=f"{RECORD_ID}-1700000000000")), False),
        ((), False),
    ],
)
def test_balancer_that_is_asked_must_have_every_format(host: BbbHost, documents: Sequence[bytes], is_deleted: bool) -> None:
    host.delivered("presentation", days_ago=1)
    host.delivered("video", days_ago=1)
    with balancer(host, *documents):
        assert host.prune() == 0
    assert host.deleted == ([f"--delete {RECORD_ID}"] if is_deleted else [])


def test_nothing_is_pruned_while_the_balancer_cannot_be_asked(host: BbbHost) -> None:
    host.delivered("presentation", days_ago=50)
    host.delivered("video", days_ago=50)
    with balancer(host, listed("presentation", "video")):
        host.configure(balancer_url="http://127.0.0.1:1/bigbluebutton/api", balancer_secret=SECRET)
        assert host.prune() == 1
    assert host.deleted == []
    assert "the balancer cannot be reached" in host.log("meetingpool-prune.log")


@pytest.mark.parametrize("settings", [{"balancer_url": "pool.example"}, {"balancer_url": "http://pool.example/api"}])
def test_half_told_balancer_is_refused(host: BbbHost, settings: dict[str, object]) -> None:
    host.configure(**settings)
    assert host.prune() == 2
