"""A BBB host as the scripts for it see one: directories laid out as BBB's, with recordings in them."""

import os
import shutil
import subprocess
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from meetingpool.bbb.recording_metadata import read_metadata
from simulator.archives import recording_archive
from simulator.meetings import MeetingSettings, PastMeeting

SCRIPTS = Path(__file__).parents[1] / "deploy" / "bbb"
RECORD_ID = f"{'a' * 40}-1700000000000"
_DAY = 86_400
_STEPS = {
    "archive": "sanity",
    "sanity": "captions",
    "captions": ["process:presentation", "process:video"],
    "process:presentation": "publish:presentation",
    "process:video": "publish:video",
}


@dataclass(frozen=True)
class BbbHost:
    """The directories of a BBB host. `post_publish` and the rest return the exit code."""

    root: Path

    @property
    def spool(self) -> Path:
        return self.root / "spool"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def status(self) -> Path:
        return self.root / "recording" / "status"

    @property
    def deleted(self) -> list[str]:
        """What bbb-record was called with."""
        log = self.root / "bbb-record.log"
        return log.read_text().splitlines() if log.exists() else []

    def configure(self, **settings: object) -> None:
        values = {"work_dir": str(self.work), "spool_dir": str(self.spool), **settings}
        (self.root / "scripts" / "meetingpool.yml").write_text(yaml.safe_dump(values))

    def copy(self, name: str, record_id: str = RECORD_ID) -> None:
        """The files of a format are there, but BBB does not say that they all are."""
        settings = MeetingSettings(
            meeting_id="room", name="A room", attendee_password="a", moderator_password="m", voice_bridge="70000"
        )
        meeting = PastMeeting(settings=settings, internal_id=record_id, created_ms=1_700_000_000_000, ended_ms=1_700_000_090_000)
        archive = self.root / "made.tar"
        archive.write_bytes(recording_archive(meeting, [name], origin="https://bbb.example"))
        with tarfile.open(archive) as opened:
            opened.extractall(self.root / "published", filter="data")

    def publish(self, name: str, record_id: str = RECORD_ID) -> None:
        self.copy(name, record_id)
        (self.status / "published" / f"{record_id}-{name}.done").write_text("done")

    def sender_file(self, record_id: str = RECORD_ID) -> Path:
        return self.status / "published" / f"{record_id}-sender.done"

    def delivered(self, name: str, *, days_ago: float, record_id: str = RECORD_ID) -> None:
        """The format was published, and everything delivered, so long ago."""
        self.publish(name, record_id)
        self.sender_file(record_id).write_text("done")
        for path, seconds in ((self.status / "published" / f"{record_id}-{name}.done", 60), (self.sender_file(record_id), 0)):
            at = time.time() - days_ago * _DAY - seconds
            os.utime(path, (at, at))

    def post_publish(self, *arguments: str) -> int:
        return self.run("ruby", "post_publish/meetingpool_post_publish.rb", *arguments)

    def prune(self, *arguments: str) -> int:
        return self.run("ruby", str(SCRIPTS / "meetingpool_prune_recordings"), *arguments)

    def batch(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.batch_command(*arguments), env=self.environment, capture_output=True, text=True, check=False)

    def batch_command(self, *arguments: str) -> list[str]:
        return ["bash", str(SCRIPTS / "meetingpool_batch_delivery.sh"), *arguments]

    def run(self, *command: str) -> int:
        return self.start(*command).wait()

    def start(self, *command: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(command, cwd=self.root / "scripts", env=self.environment)

    @property
    def environment(self) -> dict[str, str]:
        own = {"BBB_SCRIPTS_DIR": str(self.root / "scripts"), "BBB_STATUS_DIR": str(self.status)}
        return {**os.environ, **own, "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}"}

    def program(self, name: str, text: str) -> None:
        """Puts a program before those of the machine."""
        path = self.root / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def formats(self, record_id: str = RECORD_ID) -> list[str]:
        """What the archive in the spool directory holds, read as Meetingpool reads it."""
        with tarfile.open(self.spool / f"{record_id}.tar") as opened:
            files = [opened.extractfile(name) for name in opened.getnames() if name.endswith(f"/{record_id}/metadata.xml")]
            return sorted(read_metadata(file.read()).format.name for file in files if file)

    def log(self, name: str = "meetingpool-delivery.log") -> str:
        return (self.root / "log" / name).read_text()


def new_bbb_host(directory: Path) -> BbbHost:
    """One that delivers into its spool directory."""
    host = BbbHost(directory)
    for folder in ("scripts/post_publish", "published", "spool", "log", "bin"):
        (directory / folder).mkdir(parents=True)
    for step in ("processed", "published"):
        (host.status / step).mkdir(parents=True)
    shutil.copy(SCRIPTS / "meetingpool_post_publish.rb", directory / "scripts" / "post_publish")
    bbb = {
        "recording_dir": str(directory / "recording"),
        "published_dir": str(directory / "published"),
        "log_dir": str(directory / "log"),
        "steps": _STEPS,
    }
    (directory / "scripts" / "bigbluebutton.yml").write_text(yaml.safe_dump(bbb))
    host.program("bbb-record", f"echo \"$@\" >> '{directory}/bbb-record.log'; rm -rf '{directory}'/published/*/\"$2\"")
    host.configure()
    return host
