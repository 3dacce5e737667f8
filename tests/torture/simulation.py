"""A world in which everything happens that a seed says: the real booper, crashes, bad targets.

Time is the virtual clock's, the database runs in the loop's own thread, every choice is the seed's:
so one seed gives one trace. The network and the moments of a crash are made up; nothing else is.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from random import Random
from typing import Any

import httpx

from booper.clock import VirtualClock
from tests.conftest import START
from tests.torture.inline import spin
from tests.torture.simulated_database import SimulatedDatabase
from tests.torture.virtual import running
from tests.torture.witness import Row, Witness

SECOND = timedelta(seconds=1)
SCHEDULES = 4

# What happens in a step, and how often beside the others.
STEPS = {
    "pass": 40,
    "create": 25,
    "replace": 8,
    "run": 3,
    "hold": 3,
    "release": 6,
    "cancel": 3,
    "retry": 3,
    "disk": 3,
    "mend": 6,
    "jump": 2,
    "restart": 1,
    "crash": 2,
    "schedule": 1,
    "toggle": 2,
    "move": 3,
}
# Most lie around the minute after which a run counts as missed.
PASSES = (*(0.5, 5, 59, 61) * 4, 700, 3_700)
# A hundred runs at a time are made up for by `all`: often, and little else would happen.
MISFIRES = (*("latest", "skip") * 3, "all")
CRASHES = (1, 1, 1, 1, 4)  # in a row: after three, what was on its way goes alone
JUMPS = (-86_400, -3_600, 3_600, 28_800, 7 * 86_400)

JUNK = b'{"$set": {"junk": "%s"}}' % (b"x" * 70_000)

FATES: tuple[Callable[[], httpx.Response | Exception], ...] = (
    *(lambda: httpx.Response(200, json={"seen": 1}) for _ in range(8)),
    lambda: httpx.Response(200, content=JUNK),
    lambda: httpx.Response(200, content=b"\xff\x00{" * 1_000),
    lambda: httpx.Response(500),
    lambda: httpx.Response(429, headers={"Retry-After": "-1 fortnight"}),
    lambda: httpx.Response(503, headers={"Retry-After": "99999999999999"}),
    lambda: httpx.Response(410),
    lambda: httpx.ConnectError("refused"),
    lambda: httpx.ReadTimeout("silent"),
    lambda: RuntimeError("a surprise"),
)


class Target(httpx.AsyncBaseTransport):
    """A target that answers as fate has it, or holds its responses back."""

    def __init__(self, world: "World") -> None:
        self.is_gone = False
        self._world = world

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Record a request and answer it."""
        if not self.is_gone:
            self._world.arrived(request)
        await self._world.open.wait()
        fate = self._world.fate()
        if isinstance(fate, Exception):
            raise fate
        return fate


class World:
    """One booper after another over one database, and what was asked of them and came of it."""

    def __init__(self, seed: int, database: SimulatedDatabase) -> None:
        self.clock = VirtualClock(START)
        self.open = asyncio.Event()
        self.open.set()
        self.trace: list[str] = []
        self.accepted: dict[int, str] = {}
        self.schedules: list[str] = []
        self.sent: list[tuple[int, str]] = []
        self.faults: list[str] = []
        self.witness = Witness()
        self.is_disk_bad = False
        self._random = Random(seed)
        self._database = database
        self._one_offs: list[int] = []
        self._keyed: list[str] = []
        self._latest = START
        self._is_kind = False
        self._lives = self._posted = 0

    async def live(self, steps: int) -> None:
        """Play so many random steps, then wait until everything has ended."""
        self._database.make()
        with self._database.inline(self.disk_fails, self.look):
            await self._start()
            try:
                for _ in range(steps):
                    (step,) = self._random.choices(list(STEPS), weights=list(STEPS.values()))
                    self._note(step)
                    await self._step(step)
                    # Not always does everything that follows happen before the next step.
                    await spin(self._random.choice((None, None, 0, 3, 20)))
                await self._end()
            finally:
                await self._stop()

    def look(self, read: Callable[[int], Sequence[Row]]) -> None:
        """Note and judge the moves that have just been committed, if anybody will know of them."""
        if self._target.is_gone:
            return
        for move in self.witness.look(read):
            self._note(str(move))
            self._blame(self.witness.judge(move))

    def arrived(self, request: httpx.Request) -> None:
        """Note a request that reached the target."""
        number, attempt = (int(request.headers[f"booper-{name}"]) for name in ("job-id", "attempt"))
        self.sent.append((number, request.url.path))
        self._note(f"sent {number} attempt {attempt}")
        self._blame(self.witness.judge_sent(number, attempt))

    def fate(self) -> httpx.Response | Exception:
        """Decide what a request is answered."""
        return httpx.Response(200) if self._is_kind else self._random.choice(FATES)()

    def disk_fails(self) -> bool:
        """Decide whether the disk does what is asked of it."""
        return self.is_disk_bad and self._random.random() < 0.5

    async def _step(self, step: str) -> None:
        match step:
            case "pass":
                self._pass(self._random.choice(PASSES))
            case "jump":
                self._pass(self._random.choice(JUMPS))
            case "create":
                await self._one_off()
            case "replace" if self._keyed:
                await self._one_off(self._random.choice(self._keyed))
            case "schedule" if len(self.schedules) < SCHEDULES:
                await self._schedule()
            case "cancel" | "retry" | "run" if self._one_offs:
                number = self._random.choice(self._one_offs)
                await self._post(f"/api/jobs/{number}/{step}", {})
            case "toggle" if self.schedules:
                action = self._random.choice(("disable", "enable", "enable"))
                await self._post(f"/api/schedules/{self._random.choice(self.schedules)}/{action}")
            case "move" if self.schedules:
                await self._move(self._random.choice(self.schedules))
            case "hold":
                self.open.clear()
            case "release":
                self.open.set()
            case "disk" | "mend":
                self.is_disk_bad = step == "disk"
            case "restart":
                await self._stop()
                await self._start()
            case "crash":
                for _ in range(self._random.choice(CRASHES)):
                    await self._crash()

    def _pass(self, seconds: float) -> None:
        self.clock.advance(seconds * SECOND)
        self._latest = max(self._latest, self.clock.now())

    async def _create(self, path: str | None = None, **fields: object) -> dict[str, Any]:
        path = path or f"/{self._posted}"
        self._posted += 1
        url = f"https://{self._host()}{path}"
        body = {"method": "post", "url": url, "max_attempts": self._posted % 4 + 1, **fields}
        response = await self._post("/api/jobs", body)
        if response.status_code != 201:
            return {}
        data: dict[str, Any] = response.json()["data"]
        self.accepted[data["job_id"]] = path
        return data

    async def _one_off(self, path: str | None = None) -> None:
        """Create a job, or put one in the place of that with this path if it waits: to any host.

        Its host and its time may change, or either alone, while the loop is about to claim it.
        """
        wait = self._random.choice((0, 1, 30, 3_600, 90_000))
        key = path or f"/{self._posted}"
        conflict = {"idempotency_key": key, "on_conflict": "replace"}
        if made := await self._create(key, schedule_in=wait, **conflict):
            self._one_offs.append(made["job_id"])
            self._keyed.append(key)

    async def _move(self, schedule: str) -> None:
        """Send a schedule's runs to another host from now on."""
        path = f"/api/schedules/{schedule}"
        shown = await self._api.get(path)
        if shown.status_code != 200:
            return
        _, _, name = shown.json()["data"]["args"]["url"].rpartition("/")
        response = await self._api.patch(path, json={"url": f"https://{self._host()}/{name}"})
        assert response.status_code in (200, 409, 503, 507), response.text
        self._note(f"{path}: {response.status_code}")

    def _host(self) -> str:
        """Return one of three hosts, in no order of their names."""
        return f"h{self._random.choice((1, 0, 2))}.test"

    async def _schedule(self) -> None:
        made = await self._create(
            repeat_every=self._random.choice((60, 600, 86_400)),
            misfire=self._random.choice(MISFIRES),
            overlap=self._random.choice(("skip", "queue", "allow")),
        )
        if made:
            self.schedules.append(made["schedule_id"])

    async def _post(self, path: str, body: object = None) -> httpx.Response:
        response = await self._api.post(path, json=body)
        assert response.status_code in (200, 201, 409, 503, 507), response.text
        self._note(f"{path}: {response.status_code}")
        return response

    async def _start(self) -> None:
        self._lives += 1
        self._stack, self._target = AsyncExitStack(), Target(self)
        settings, random = self._database.settings, Random(self._lives)
        entering = running(settings, self.clock, self._target, random)
        self._booper, self._api = await self._stack.enter_async_context(entering)
        await spin()

    async def _stop(self) -> None:
        """Stop without grace; what waits for the disk goes on first, as it would within seconds."""
        await self._recover()
        self.witness.is_stopping = True
        await self._stack.aclose()
        self.witness.died()

    async def _recover(self) -> None:
        """Mend the disk, and let whoever waits for it go on."""
        self.is_disk_bad = False
        await spin()
        self._pass(2)
        await spin()

    async def _crash(self) -> None:
        """Restart from what the disk holds now; the booper that wrote it is forgotten."""
        remove_old = self._database.crash()
        self._target.is_gone = True
        await self._stop()
        remove_old()
        await self._start()

    async def _end(self) -> None:
        """Stop all faults until nothing but the next runs of schedules waits, and stop."""
        self.is_disk_bad, self._is_kind = False, True
        self.open.set()
        await spin()
        for schedule in self.schedules:
            self._pass(2)
            await self._post(f"/api/schedules/{schedule}/enable")
        self.clock.set(self._latest)  # nobody could ask for anything from a later time
        for _ in range(6):  # past the longest wait and the latest retry, a day each
            self._pass(43_200)
            await spin()
        if busy := self._booper._holder.scheduler.state().in_flight:
            self.faults.append(f"{busy} slots are taken though nothing is on its way")

    def _note(self, what: str) -> None:
        self.trace.append(f"{self.clock.now()} {what}")

    def _blame(self, faults: list[str]) -> None:
        self.faults += [f"{fault} (line {len(self.trace)} of the trace)" for fault in faults]
