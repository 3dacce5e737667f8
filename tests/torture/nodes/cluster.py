"""Nodes of one database: real processes that are started, killed and started again."""

import signal
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx

from tests.support.pgbouncer import pooled
from tests.support.postgres import DEFAULT_SPACE, database
from tests.support.processes import Daemon, monotonic, nap, run, serving
from tests.torture.nodes.sink import Sink, sinking
from tests.torture.nodes.spaces import Space

ROOT: Final = Path(__file__).parents[3]
KEY: Final = "sk_torture_torture_torture"
CONFIG: Final = """
[database]
url = "{url}"
listen_url = "{listen_url}"
pooled = {pooled}
[targets]
require_https = false
allow = ["127.0.0.0/8", "10.213.0.0/16"]
"""
STRANGE: Final = "tests.torture.nodes.strange"

STARTS: Final = 3
UNREACHED: Final = "connection timeout expired"

START_SECONDS: Final = 60.0
"""How long a node may take to start, where others keep the machine busy."""

QUIET_SECONDS: Final = 1.0
"""How long nothing arrives where nothing is expected any more."""


class Node:
    """A `booper serve` that may be dead. `oddities` are those of `tests.torture.nodes.strange`.

    It runs in `space` if that is given, with `environment` beside its usual one.
    """

    def __init__(
        self,
        folder: Path,
        oddities: str = "",
        space: Space | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self._oddities = oddities
        self._space = space
        self._environment = {"BOOPER_API_KEY": KEY, "PYTHONPATH": str(ROOT), **(environment or {})}
        self._stack = ExitStack()
        self.daemon: Daemon | None = None
        self.is_away = False
        """Whether nobody asks it for anything now."""

    @property
    def is_running(self) -> bool:
        """Return whether its process is there."""
        return self.daemon is not None and self.daemon.process.poll() is None

    @property
    def url(self) -> str:
        """Return where its API is; it must run."""
        assert self.daemon is not None
        return self.daemon.url

    def start(self) -> None:
        """Start it; returns when it responds.

        One that ends since the database did not respond is started again, as services are.
        """
        for tried in range(1, STARTS + 1):
            try:
                self._start()
            except AssertionError as error:
                if tried == STARTS or UNREACHED not in str(error):
                    raise
            else:
                return

    def _start(self) -> None:
        options = ("--host", self._space.host) if self._space is not None else ()
        self.daemon = self._stack.enter_context(
            serving(
                self.folder,
                *options,
                key=KEY,
                environment=self._environment,
                wrapped=self._wrapped,
                start_seconds=START_SECONDS,
            )
        )

    def _wrapped(self, command: list[str]) -> list[str]:
        if self._oddities:
            arguments = command[command.index("serve") :]
            command = [sys.executable, "-m", STRANGE, self._oddities, *arguments]
        return command if self._space is None else self._space.inside(command)

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.daemon is not None
        self.daemon.tell(number)

    def kill(self) -> float:
        """Kill it; return when that was done."""
        daemon, self.daemon = self.daemon, None
        assert daemon is not None
        daemon.tell(signal.SIGKILL)
        at = monotonic()
        daemon.wait_exit()
        self._stack.close()
        return at

    def close(self) -> None:
        """End it if it runs."""
        if self.daemon is not None:
            self.tell(signal.SIGCONT)
            self.kill()


@dataclass(frozen=True, slots=True)
class Cluster:
    """Nodes, their database and the sink that they send to, in a network of so many hosts."""

    url: str
    nodes: list[Node]
    sink: Sink
    network: str = "127.0"

    def target(self, number: int, origins: int = 1) -> str:
        """Return the URL of a job, at one of so many origins."""
        return f"http://{self.host(number % origins)}:{self.sink.port}/{number}"

    def host(self, number: int) -> str:
        """Return the host of this number."""
        return f"{self.network}.{1 + number // 250}.{1 + number % 250}"


def here(folder: Path, number: int, oddities: str) -> Node:
    """Return a node of this machine, which is not started."""
    return Node(folder, oddities)


@contextmanager
def cluster(
    size: int,
    sink: Sink,
    *,
    settings: str = "",
    oddities: str = "",
    reach: Callable[[int, str], str] = lambda number, url: url,
    listen: Callable[[int, str], str] = lambda number, url: "",
    own_settings: Callable[[int], str] = lambda number: "",
    placed: Callable[[Path, int, str], Node] = here,
    network: str = "127.0",
    pools: Collection[int] = (),
    tablespace: str = DEFAULT_SPACE,
) -> Iterator[Cluster]:
    """Run so many nodes and a sink until the end of the block.

    `reach` returns by which URL the node of a number reaches the database of this URL, `listen` by
    which it hears other nodes, if that is another, `own_settings` more settings of it, and `placed`
    the node that has a folder, a number and oddities. Those whose numbers are in `pools` reach it
    through PgBouncer. It lies in `tablespace`.
    """
    with (
        TemporaryDirectory() as name,
        database(tablespace=tablespace) as url,
        sinking(sink),
        ExitStack() as stack,
    ):
        nodes = list[Node]()
        for number in range(size):
            folder = Path(name) / str(number)
            folder.mkdir()
            ways = {"url": reach(number, url), "listen_url": listen(number, url)}
            if number in pools:
                ways = {"url": pooled(url), "listen_url": url}
            ways["pooled"] = str(number in pools).lower()
            text = CONFIG.format_map(ways) + settings + own_settings(number)
            (folder / "booper.toml").write_text(text, encoding="utf-8")
            nodes.append(placed(folder, number, oddities))
        # Whoever forks the boopers of tests imports booper first: that is no part of a start.
        run(nodes[0].folder, "--version")
        for node in nodes:
            stack.callback(node.close)
            node.start()
        yield Cluster(url, nodes, sink, network)


def wait(is_there: Callable[[], bool], seconds: float) -> bool:
    """Wait until something is there, so many seconds at most; return whether it is."""
    until = monotonic() + seconds
    while not is_there():
        if monotonic() > until:
            return False
        nap()
    return True


def wait_arrivals(sink: Sink, wanted: int, patience: float) -> None:
    """Wait until so many paths have arrived and it is quiet, or nothing has for `patience`."""
    seen, at = -1, monotonic()
    while True:
        if len(sink.arrivals) > seen:
            seen, at = len(sink.arrivals), monotonic()
        is_all = len({arrival.path for arrival in tuple(sink.arrivals)}) >= wanted
        if monotonic() > at + (QUIET_SECONDS if is_all else patience):
            return
        pause(0.1)


def pause(seconds: float) -> None:
    """Let real time pass."""
    until = monotonic() + seconds
    while monotonic() < until:
        nap()


def create(api: httpx.Client, jobs: list[dict[str, Any]]) -> list[int]:
    """Create jobs, one alone or many by one request; return their numbers.

    Raises:
        Refused: some were not created.
    """
    if len(jobs) == 1:
        response = api.post("/api/jobs", json=jobs[0])
        results = [{"status": response.status_code, **response.json()}]
    else:
        response = api.post("/api/jobs/batch", json={"jobs": jobs})
        results = response.json()["data"] if response.status_code == 201 else []
    if len(results) != len(jobs) or any(each["status"] not in (200, 201) for each in results):
        raise Refused(response)
    return [int(each["data"]["job_id"]) for each in results]


class Refused(Exception):
    """A create that was refused, with its response."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(f"{response.status_code}: {response.text[:300]}")
        self.response = response
