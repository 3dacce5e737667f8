"""The README's section for developers: its commands print what it says they do."""

import json
import re
import shlex
import subprocess
from pathlib import Path

from tests.dev.test_command import developing
from tests.support.documents import block
from tests.support.processes import DEADLINE_SECONDS


def test_a_reminder_of_three_days_is_tried_in_an_instant(tmp_path: Path) -> None:
    """Its first attempt fails and the second is fine, both within the four days; then it is gone.

    The command's own options are those of the README; only the port is another.
    """
    (command,) = block("sh", "booper dev").splitlines()
    with developing(tmp_path, *shlex.split(command)[2:]) as (terminal, api, _):
        script = block("sh", "curl http://127.0.0.1:2667/api/jobs")
        script = script.replace("http://127.0.0.1:2667", str(api.base_url).rstrip("/"))
        script = re.sub(r"^curl", "echo; curl -sS --fail-with-body", script, flags=re.MULTILINE)
        done = subprocess.run(
            ["bash", "-euc", script],
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=True,
        )
        created, journey, sink, reset = (
            json.loads(line)["data"] for line in done.stdout.splitlines() if line
        )
        assert created["job"]["state"] == "scheduled"
        assert journey["states"] == {"retryable": 1, "completed": 1}
        assert [ran["status"] for ran in journey["ran"]] == [500, 200]
        assert [one["path"] for one in sink] == ["/remind", "/remind"]
        assert reset["is_frozen"]
        terminal.wait_shown("#1 POST https://scheduler.booper.dev/dev/sink/remind?respond=500,200")
