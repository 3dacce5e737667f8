"""Network namespaces: a node in each, with one way to its database and another to the targets.

The way to the database can be lost while that to the targets stays. Needs to be root on Linux.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

from tests.torture.line import NotMeasured

TARGETS: Final = "10.213"
"""The network of the targets: every address of it is this machine's, for all nodes."""


class Space:
    """The namespace of one node.

    Attributes:
        database: this machine's address on the way to the database.
        host: the node's address on the way to the targets, where its API can be reached as well.
    """

    def __init__(self, number: int) -> None:
        self.name = f"booper-{os.getpid()}-{number}"
        self.database = f"10.211.{number}.1"
        self.host = f"10.212.{number}.2"
        self._gateway = f"10.212.{number}.1"
        self._ways = (f"bd{os.getpid()}.{number}", f"bt{os.getpid()}.{number}")

    @contextmanager
    def made(self) -> Iterator["Space"]:
        """Make it, and remove it at the end of the block."""
        _ip("netns", "add", self.name)
        try:
            self._connect(self._ways[0], self.database, self.database[:-1] + "2")
            self._connect(self._ways[1], self._gateway, self.host)
            self._ip_inside("link", "set", "lo", "up")
            self._ip_inside("route", "add", "default", "via", self._gateway)
            yield self
        finally:
            _ip("netns", "del", self.name)  # its ends of the ways, and so both ends of them
            for way in self._ways:
                with suppress(NotMeasured):  # as a rule they have gone with it
                    _ip("link", "del", way)

    def inside(self, command: list[str]) -> list[str]:
        """Return the command that runs another one in this namespace."""
        return ["ip", "netns", "exec", self.name, *command]

    def lose(self) -> None:
        """Lose all that is sent between the node and its database, without a word."""
        _ip("link", "set", self._ways[0], "down")

    def heal(self) -> None:
        """Carry everything again."""
        _ip("link", "set", self._ways[0], "up")

    def _connect(self, way: str, here: str, there: str) -> None:
        """Make a way between this machine and the namespace, with an address at each end."""
        _ip("link", "add", way, "type", "veth", "peer", "name", way, "netns", self.name)
        _ip("addr", "add", f"{here}/30", "dev", way)
        self._ip_inside("addr", "add", f"{there}/30", "dev", way)
        _ip("link", "set", way, "up")
        self._ip_inside("link", "set", way, "up")

    def _ip_inside(self, *arguments: str) -> None:
        _ip("-n", self.name, *arguments)


@contextmanager
def spaces(count: int) -> Iterator[list[Space]]:
    """Make so many namespaces, which are there until the end of the block. Raises: NotMeasured."""
    with ExitStack() as stack:
        yield [stack.enter_context(Space(number).made()) for number in range(count)]


@contextmanager
def target_network() -> Iterator[str]:
    """Add addresses for targets, which namespaces reach until the end of the block.

    Yields the beginning that they have in common. Raises: NotMeasured.
    """
    network = f"{TARGETS}.0.0/16"
    _ip("route", "replace", "local", network, "dev", "lo")
    try:
        yield TARGETS
    finally:
        _ip("route", "del", "local", network, "dev", "lo")


def _ip(*arguments: str) -> None:
    try:
        done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    except OSError as error:
        raise NotMeasured(f"namespaces need the command ip, of iproute2 ({error})") from error
    if done.returncode:
        raise NotMeasured(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
