"""`booper metrics`: the files that go with `/metrics`, for Grafana and for Prometheus."""

from importlib.resources import files

import click

from booper.cli.groups import Group


@click.group(cls=Group)
def metrics() -> None:
    """Print a Grafana dashboard or alert rules for the metrics of `booper serve`."""


@metrics.command()
def grafana() -> None:
    """Print a dashboard: import it in Grafana, and choose your Prometheus there."""
    _print("grafana.json")


@metrics.command()
def rules() -> None:
    """Print alert rules: name the file under `rule_files` in prometheus.yml."""
    _print("rules.yml")


def _print(name: str) -> None:
    click.echo(files("booper.metrics").joinpath(name).read_text(encoding="utf-8"), nl=False)
