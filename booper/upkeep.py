"""What keeps a holder's database well, made of the configuration: copies, pruning, and agents."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from booper.clock import Clock
from booper.config import Config
from booper.engine.agents import Agent
from booper.engine.backups import Backups
from booper.engine.key_uses import KeyUses
from booper.engine.periods import PeriodMaker
from booper.engine.pruner import Pruner
from booper.engine.roll_ups import RollUps
from booper.engine.space import SpaceKeeper
from booper.errors import ConfigError
from booper.model.duration import parse_duration
from booper.retention import retention_of
from booper.store.base import Store
from booper.store.sqlite.backup_folder import BackupFolder
from booper.store.sqlite.upgrade_copy import copy_before_upgrade, no_copy


@dataclass(frozen=True, slots=True)
class Upkeep:
    """The agents of a holder; None stands for what was not asked for."""

    backups: Backups | None
    pruner: Pruner
    space: SpaceKeeper
    key_uses: KeyUses
    roll_ups: RollUps | None
    periods: PeriodMaker | None

    @property
    def agents(self) -> Mapping[str, Agent]:
        """Return all agents by their names."""
        agents: dict[str, Agent] = {
            "pruner": self.pruner.run,
            "space keeper": self.space.run,
            "writer of key uses": self.key_uses.run,
        }
        if self.roll_ups is not None:
            agents["roll-up agent"] = self.roll_ups.run
        if self.periods is not None:
            agents["maker of periods"] = self.periods.run
        if self.backups is not None:
            agents["backup agent"] = self.backups.run
        return agents


def upkeep_of(config: Config, store: Store, clock: Clock) -> Upkeep:
    """Return what a configuration asks for."""
    retention, pruning, is_shared = retention_of(config), store.pruning, store.sharing is not None
    pruner = Pruner(pruning, retention, clock)
    return Upkeep(
        backups=_backups(config, clock),
        pruner=pruner,
        space=SpaceKeeper(pruning, pruner, retention, clock),
        key_uses=KeyUses(store.keys),
        roll_ups=RollUps(store.counters, clock) if is_shared else None,
        periods=PeriodMaker(pruning, retention, clock) if is_shared else None,
    )


def before_upgrade(config: Config) -> Callable[[Path, int], None]:
    """Return what is done before a database with an older schema is upgraded."""
    return copy_before_upgrade if config.database.copy_before_upgrade else no_copy


def _backups(config: Config, clock: Clock) -> Backups | None:
    every = parse_duration(config.backup.every)
    if not every:
        return None
    if config.database.url:
        raise ConfigError(
            "[backup] every: booper makes backups of a SQLite file alone; leave it at 0, and back "
            "the database of [database] url up with pg_dump"
        )
    database, folder = Path(config.database.path), Path(config.backup.folder)
    # Wherever this process goes later.
    return Backups(
        BackupFolder(database.absolute(), folder.absolute(), config.backup.keep), every, clock
    )
