"""`booper metrics`: the files that go with `/metrics`, for Grafana and for Prometheus."""

from importlib.resources import files

import click

from booper.cli.groups import Group


@click.group(cls=Group)
def metrics() -> None:
    """Print a Grafana dashboard or alert rules for the metrics of `booper serve`."""


@metrics.command()
def grafana() -> None:
    """Print a dashboard for Grafana.

    Import it there, and choose your Prometheus.
    """
    _print("grafana.json")


@metrics.command()
def rules() -> None:
    """Print alert rules for Prometheus.

    Name the file under `rule_files` in prometheus.yml.
    """
    _print("rules.yml")


def _print(name: str) -> None:
    click.echo(files("booper.metrics").joinpath(name).read_text(encoding="utf-8"), nl=False)
