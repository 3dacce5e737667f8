"""The peers, each an adapter of about a page."""

from tests.benchmarks.peers.base import Peer, SharedPeer
from tests.benchmarks.peers.beanstalkd import Beanstalkd
from tests.benchmarks.peers.bullmq import BullMQ
from tests.benchmarks.peers.huey import Huey
from tests.benchmarks.peers.pgboss import PgBoss
from tests.benchmarks.peers.procrastinate import Procrastinate
from tests.benchmarks.peers.quirrel import Quirrel

__all__ = ["PEERS", "SHARED_PEERS", "Peer", "SharedPeer"]

_ALL: tuple[Peer, ...] = (
    Quirrel(),
    BullMQ("bullmq", "everysec", "BullMQ (Redis, sync each second; in process)"),
    BullMQ("bullmq-always", "always", "BullMQ (Redis, sync each write; in process)"),
    Beanstalkd("beanstalkd", 50, "beanstalkd (sync each 50 ms; TCP)"),
    Beanstalkd("beanstalkd-fsync", 0, "beanstalkd (sync each write; TCP)"),
    Huey(),
)

PEERS: dict[str, Peer] = {peer.name: peer for peer in _ALL}

_SHARED: tuple[SharedPeer, ...] = (Procrastinate(), PgBoss())
SHARED_PEERS: dict[str, SharedPeer] = {peer.name: peer for peer in _SHARED}
"""Those that several machines share a PostgreSQL for."""
