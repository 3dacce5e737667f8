"""`booper pause`, `resume` and `breakers`: what nothing is sent to for now, or too seldom."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from booper.cli.groups import Group
from booper.cli.remote import client_command

if TYPE_CHECKING:
    from booper.cli.output import Output

_ALL = click.option("--all", "is_all", is_flag=True, help="All targets.")


def _target(function: Callable[..., None]) -> Callable[..., None]:
    """Add the target's argument and options to a command."""
    return click.argument("target", metavar="[HOST|ORIGIN]", required=False)(_ALL(function))


@click.command()
@_target
@client_command
def pause(out: "Output", target: str | None, is_all: bool) -> None:
    """Pause all jobs to a target until it is resumed.

    A HOST such as example.com means all its origins, example.com:8443 only that port, and an ORIGIN
    such as https://example.com only that origin. This needs a key of scope admin.
    """
    out.client.pause(**_named(target, is_all))
    out.pauses()


@click.command()
@_target
@client_command
def resume(out: "Output", target: str | None, is_all: bool) -> None:
    """Send to a paused target again."""
    out.client.resume(**_named(target, is_all))
    out.pauses()


@click.group(cls=Group)
def breakers() -> None:
    """List and reset origins that are only probed.

    An origin that fails 20 times in a row is probed, one request at a time, until it responds.
    """


@breakers.command("list")
@client_command
def list_breakers(out: "Output") -> None:
    """List the origins that are only probed."""
    out.breakers()


@breakers.command("reset")
@_target
@client_command
def reset_breakers(out: "Output", target: str | None, is_all: bool) -> None:
    """Send to a target again as if it had never failed."""
    done = out.client.reset_breakers(**_named(target, is_all))
    origins = done.get("reset", [])
    out.show(
        done, "\n".join(f"{origin} is reset" for origin in origins) or "nothing was only probed"
    )


def _named(target: str | None, is_all: bool) -> dict[str, Any]:
    """Return the field that names the target. Raises: UsageError, if it is not clear which."""
    if (target is None) is not is_all:
        raise click.UsageError(
            "which target? Give a host or an origin such as https://example.com, or --all"
        )
    if target is None:
        return {}
    return {"origin" if "://" in target or target == "app:" else "host": target}
