"""`booper systemd`: the units of a service that starts with the machine and is never refused."""

import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from ipaddress import ip_address
from os.path import normpath
from pathlib import Path
from typing import Final

import click

from booper.cli.addresses import authority
from booper.cli.binding import without_covered
from booper.config import Config
from booper.errors import ConfigError
from booper.executable import is_executable

STATE: Final = Path("/var/lib/booper")

# What the service's user cannot read, whoever it is.
_HOMES: Final = (Path("/home"), Path("/root"), Path("/run/user"))

# Beyond the grace of requests in flight: what is committed and closed at the end.
_STOP_MARGIN_SECONDS: Final = 20

_USER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,30}")

_SERVICE: Final = """\
# /etc/systemd/system/booper.service
[Unit]
Description=booper, an HTTP job scheduler
After=network.target
Requires=booper.socket
# It is started again for as long as it takes: a disk that is full now may have space later.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess={notifiers}
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=2
# Killed, and started again, when the loop or the disk has not responded for so long.
WatchdogSec=60
# A new version may have to convert a large database.
TimeoutStartSec=30min
TimeoutStopSec={stop_seconds}
KillMode=mixed
# May hold BOOPER_API_KEY=sk_...; only root need be able to read it.
EnvironmentFile=-/etc/booper/environment
{user}
StateDirectory=booper
StateDirectoryMode=0700
WorkingDirectory={state}
{writable}UMask=0077
LimitNOFILE=65536

# What it may do: open its database, listen, connect. `systemd-analyze security` rates this.
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateUsers=yes
PrivateIPC=yes
DevicePolicy=closed
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
Also=booper.socket
"""

_SOCKET: Final = """\
# /etc/systemd/system/booper.socket
[Unit]
Description=booper's port, which stays open while booper restarts

[Socket]
{listen}
Backlog=4096
NoDelay=yes

[Install]
WantedBy=sockets.target
"""


def show(config: Config, file: Path | None, unit: str | None, user: str | None) -> None:
    """Print the units, or one of them. Raises: ConfigError, or UsageError for a wrong user."""
    if user is not None and not _USER.fullmatch(user):
        raise click.UsageError(f"--user: expected the name of a user, such as booper; got {user!r}")
    texts = {"service": _service(config, file, user), "socket": _socket(config)}
    click.echo("\n".join(text for name, text in texts.items() if unit in (None, name)), nl=False)
    for path in _hidden([*_program(), *([file] if file else [])]):
        click.echo(
            f"booper: {path} is in a home folder, which the service cannot read; "
            "install booper elsewhere, such as in /opt/booper",
            err=True,
        )


def _service(config: Config, file: Path | None, user: str | None) -> str:
    """Return the unit that runs booper. Raises: ConfigError."""
    arguments = ["--config", str(file.absolute())] if file else []
    return _SERVICE.format(
        command=" ".join(map(_quoted, [*map(str, _program()), "serve", *arguments])),
        # A single executable has a loader, which stays the main process.
        notifiers="all" if is_executable() else "main",
        stop_seconds=round(config.delivery.grace_seconds) + _STOP_MARGIN_SECONDS,
        user=f"User={user}" if user else "DynamicUser=yes\nUser=booper",
        state=STATE,
        writable=_writable(config, user),
    )


def _writable(config: Config, user: str | None) -> str:
    """Return the setting that lets booper write where its database is. Raises: ConfigError."""
    folder = Path(normpath(STATE / config.database.path)).parent
    if folder.is_relative_to(STATE):
        return ""
    if user is None:
        raise ConfigError(
            f"[database] path: {config.database.path!r} is not in {STATE}, the only folder of a "
            "service without a user of its own; name the owner of the folder by --user, or write "
            'path = "booper.db"'
        )
    return f"ReadWritePaths={_quoted(str(folder))}\n"


def _socket(config: Config) -> str:
    """Return the unit that listens. Raises: ConfigError."""
    port = config.server.port
    if port == 0:
        raise ConfigError("[server] port: a service needs a port from 1 to 65535, got 0")
    addresses = [_address(host) for host in without_covered(config.server.hosts)]
    lines = [f"ListenStream={authority(address, port)}" for address in addresses]
    both = ["BindIPv6Only=both"] if "::" in addresses else []
    return _SOCKET.format(listen="\n".join([*both, *lines]))


def _address(host: str) -> str:
    """Return an address as systemd listens on it, which resolves no names. Raises: ConfigError."""
    host = "127.0.0.1" if host == "localhost" else host
    try:
        return str(ip_address(host))
    except ValueError as error:
        raise ConfigError(
            f"[server] host: systemd listens on IP addresses, such as 127.0.0.1; got {host!r}"
        ) from error


def _program() -> Sequence[str | Path]:
    """Return the command that has started this process, by absolute paths."""
    if is_executable():
        return [Path(sys.executable)]
    if Path(sys.argv[0]).name == "__main__.py":
        return [Path(sys.executable), "-P", "-m", "booper"]
    return [Path(shutil.which(sys.argv[0]) or sys.argv[0]).absolute()]


def _hidden(parts: Sequence[str | Path]) -> list[Path]:
    """Return the paths that a service cannot read."""
    paths = [path.absolute() for path in parts if isinstance(path, Path)]
    return [path for path in paths if any(path.is_relative_to(home) for home in _HOMES)]


def _quoted(text: str) -> str:
    """Return a word as a unit's command line has it (systemd.service(5), "Command lines")."""
    escaped = text.replace("%", "%%").replace("$", "$$")
    if shlex.quote(text) == text:
        return escaped
    return '"' + escaped.replace("\\", "\\\\").replace('"', '\\"') + '"'
