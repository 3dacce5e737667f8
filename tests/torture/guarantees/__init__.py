"""The guarantees, each a module with a function that tries it."""

from collections.abc import Callable

from tests.torture.guarantees import (
    auth,
    backlog,
    bounded,
    carryover,
    clock,
    connections,
    deadline,
    disk,
    drain,
    executable,
    fairness,
    framing,
    guard,
    isolation,
    kill,
    limits,
    poison,
    power,
    pruning,
    restarts,
    secrets,
    simulated,
    start,
    travel,
    wal,
    workers,
)
from tests.torture.line import Line, Size

Measure = Callable[[Size], Line]

GUARANTEES: dict[str, Measure] = {
    "kill": kill.measure,
    "power": power.measure,
    "disk": disk.measure,
    "poison": poison.measure,
    "start": start.measure,
    "drain": drain.measure,
    "restarts": restarts.measure,
    "pruning": pruning.measure,
    "wal": wal.measure,
    "clock": clock.measure,
    "simulated": simulated.measure,
    "travel": travel.measure,
    "isolation": isolation.measure,
    "backlog": backlog.measure,
    "fairness": fairness.measure,
    "deadline": deadline.measure,
    "carryover": carryover.measure,
    "guard": guard.measure,
    "auth": auth.measure,
    "secrets": secrets.measure,
    "connections": connections.measure,
    "framing": framing.measure,
    "limits": limits.measure,
    "bounded": bounded.measure,
    "workers": workers.measure,
    "executable": executable.measure,
}
