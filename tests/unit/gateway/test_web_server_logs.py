"""What the web server logs, in a process of its own: to set it up changes the logs of the whole process."""

import json
import subprocess
import sys

LOGGED = """
import logging
from gateway.__main__ import _server_config
from gateway.state import Readiness
from meetingpool.logs import configure_logs
from meetingpool.settings import Settings

configure_logs(process="gateway", log_format="json", level="info")
_server_config(Settings(), Readiness())
logging.getLogger("uvicorn.error").error("failed: http://bbb.example/api?checksum=%s", "canary")
"""


def test_what_the_web_server_logs_takes_the_same_way() -> None:
    done = subprocess.run([sys.executable, "-c", LOGGED], capture_output=True, text=True, check=True, timeout=60)

    (line,) = done.stderr.splitlines()
    assert json.loads(line)["message"] == "failed: http://bbb.example/api"
