"""What the operations of the API work with."""

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from booper.api.intake import Rules
from booper.api.limits import RateLimit, SharedRateLimit
from booper.api.memory import ResponseMemory
from booper.api.request_counts import RequestCounts
from booper.clock import Clock
from booper.engine.alerts import Alerts
from booper.engine.attempt_counts import AttemptCounts
from booper.engine.backups import Backups
from booper.engine.changes import Changes
from booper.engine.channels import Channels
from booper.engine.commands import Commands
from booper.engine.feeds import Feeds
from booper.engine.pruner import Pruner
from booper.engine.scheduler import Scheduler
from booper.engine.space import SpaceKeeper
from booper.guard.policy import Check, Guard
from booper.guard.programs import check_of_program
from booper.http.certificates import Certificates
from booper.model.retry import Backoff
from booper.store.base import Store
from booper.wire.redaction import Redaction


@dataclass(frozen=True, slots=True)
class Services:
    """The parts behind the API; `key_ttl` is how long an idempotency key stays taken by default.

    Changes go through `commands`; the store, the scheduler and the feeds are for reading.
    `is_administrator` marks the API behind the socket that only an administrator can open.

    `own_secret` marks booper's own deliveries, `program` is the origin of the program around booper
    to deliver to, None if there is none. Of `rate_limit` and `shared_rate_limit` one counts a key's
    requests, if any does: in this process, or over all nodes. `open_channels_key` is the key that a
    message to a channel is posted with if it has none, None where it needs its own. `backups` is
    None where the daemon makes none. `public_url` is where others reach this API, without a slash
    at its end, or nothing if that is not known.
    """

    store: Store
    commands: Commands
    scheduler: Scheduler
    feeds: Feeds
    channels: Channels
    changes: Changes
    guard: Guard
    clock: Clock
    max_body_bytes: int
    max_batch_bytes: int
    max_attempts: int
    backoff: Backoff
    redaction: Redaction
    user_agent: str
    key_ttl: timedelta
    own_secret: str
    rate_limit: RateLimit | None = None
    shared_rate_limit: SharedRateLimit | None = None
    is_administrator: bool = False
    program: str | None = None
    pruner: Pruner | None = None
    space: SpaceKeeper | None = None
    open_channels_key: str | None = None
    backups: Backups | None = None
    public_url: str = ""
    memory: ResponseMemory = field(default_factory=ResponseMemory)
    requests: RequestCounts = field(default_factory=RequestCounts)
    attempts: AttemptCounts = field(default_factory=AttemptCounts)
    certificates: Certificates = field(default_factory=Certificates)
    alerts: Alerts | None = None
    rules: Rules = field(init=False)
    """What creates are judged by."""

    def __post_init__(self) -> None:
        rules = Rules(self.check, self.max_attempts, self.key_ttl)
        object.__setattr__(self, "rules", rules)  # worked out once, not for each create

    @property
    def check(self) -> Check:
        """Return what judges the URLs of a create.

        Only who may open the administrator's socket, as the program around booper may, can create
        jobs for that program: others could reach paths that it shows to nobody.
        """
        if self.program is None or not self.is_administrator:
            return self.guard.check
        return partial(check_of_program, self.guard, self.program)
