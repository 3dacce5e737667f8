"""The page about deploying: its commands and configurations, run as far as a test can."""

import re
import subprocess
import sys
from pathlib import Path

from tests.support.documents import DOCS, blocks_of

BLOCKS = dict(reversed(blocks_of(DOCS["deploying"])))


def test_the_units_are_installed_by_the_commands_there(tmp_path: Path) -> None:
    """With another folder for the units, and a systemctl that notes what it is asked."""
    script = BLOCKS["sh"].replace("/etc/systemd/system", str(tmp_path))
    script = re.sub(r"^booper", f"{sys.executable} -m booper", script, flags=re.MULTILINE)
    script = f"systemctl() {{ echo systemctl $@; }}\n{script}"
    done = subprocess.run(
        ["bash", "-euc", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.splitlines() == [
        "systemctl daemon-reload",
        "systemctl enable --now booper.socket booper.service",
    ]
    for unit in ("service", "socket"):
        assert (tmp_path / f"booper.{unit}").read_text().startswith("# /etc/systemd/system/booper.")
