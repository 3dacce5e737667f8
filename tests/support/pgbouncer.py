"""A private PgBouncer before the private PostgreSQL server: five connections for each database."""

import shutil
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from tests.support.keepers import keep
from tests.support.postgres import USER

MISSING: Final = (
    "these tests need PgBouncer, and there is no pgbouncer on the PATH or in /usr/sbin; "
    "on Debian: apt-get install pgbouncer"
)
POOL_SIZE: Final = 5

KEEPER: Final = """
trap '' INT HUP TERM
folder=$1 program=$2
"$program" "$folder/pgbouncer.ini" >"$folder/log" 2>&1 &
bouncer=$!
until grep -q 'process up' "$folder/log"
do
    kill -0 $bouncer 2>"$folder/gone" || break
    sleep 0.02
done
if kill -0 $bouncer 2>"$folder/gone"
then
    echo ready
    cat >/dev/null
    kill -KILL $bouncer
else
    cat "$folder/log"
fi
rm -rf "$folder"
"""

# https://www.pgbouncer.org/config.html; without admin_users nobody can change it while it runs.
SETTINGS: Final = """
[databases]
* = host=127.0.0.1 port={server}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
pidfile = {folder}/pid
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 1000
max_db_connections = {size}
server_login_retry = 1
"""


def pooled(url: str) -> str:
    """Return the URL by which a database of the private server is reached through PgBouncer."""
    server = urlsplit(url)
    assert server.port is not None
    return server._replace(netloc=f"{USER}@127.0.0.1:{_bouncer(server.port)}").geturl()


@cache
def _bouncer(server: int) -> int:
    """Start the PgBouncer of this process before the server at a port, and return its own port."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.fail(MISSING, pytrace=False)

    def arguments(folder: Path, port: int) -> list[str]:
        settings = SETTINGS.format(server=server, port=port, folder=folder, size=POOL_SIZE)
        (folder / "pgbouncer.ini").write_text(settings, encoding="utf-8")
        (folder / "users").write_text(f'"{USER}" ""\n', encoding="utf-8")
        return [program]

    return keep("PgBouncer", KEEPER, arguments)
