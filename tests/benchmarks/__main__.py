"""The command line: `python -m tests.benchmarks`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import click

from tests.benchmarks import target
from tests.benchmarks.figures import FIGURES
from tests.benchmarks.peers import PEERS, SHARED_PEERS
from tests.benchmarks.runner import QUICK, Bench, Row, Sizes, machine, report, table

T = TypeVar("T")

CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "booper-benchmarks"


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(FIGURES)), help="These figures.")
@click.option(
    "--peers",
    "names",
    multiple=True,
    type=click.Choice(["all", "none", *PEERS, *SHARED_PEERS]),
    default=["all"],
    show_default=True,
    help="What to measure beside booper.",
)
@click.option("--repeat", type=click.IntRange(1), default=5, show_default=True)
@click.option("--quick", is_flag=True, help="Small sizes: a smoke test, not a measurement.")
@click.option("--json", "output", type=click.Path(path_type=Path), default="benchmarks.json")
def main(
    only: tuple[str, ...], names: tuple[str, ...], repeat: int, quick: bool, output: Path
) -> None:
    """Measure booper beside its own limits and its peers; print a table and write it as JSON.

    Options that take a name can be given several times.
    """
    with target.running() as running:
        sizes = QUICK if quick else Sizes()
        peers, shared = _chosen(PEERS, names), _chosen(SHARED_PEERS, names)
        bench = Bench(running, sizes, repeat, peers, CACHE, _say, shared)
        _install(bench)
        rows: list[Row] = []
        for name in only or FIGURES:
            _say(name)
            rows += FIGURES[name](bench)
        click.echo(f"{machine()}\n\n{table(rows)}")
        for peer, reason in bench.failures.items():
            click.echo(f"{peer} was not measured: {reason}")
        report(output, rows, bench)


def _chosen(peers: Mapping[str, T], names: tuple[str, ...]) -> list[T]:
    if "none" in names:
        return []
    return [peer for name, peer in peers.items() if "all" in names or name in names]


def _install(bench: Bench) -> None:
    bench.cache.mkdir(parents=True, exist_ok=True)
    bench.each_peer(lambda peer: peer.install(bench.cache))


def _say(what: str) -> None:
    click.echo(what, err=True)


if __name__ == "__main__":
    main()
