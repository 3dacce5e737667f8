"""`booper docs`: a page of the reference, paged as plain text on a terminal, else as Markdown."""

import click

from booper.cli.table import terminal_width
from booper.docs import TOPICS, markdown, summary
from booper.docs.plain import plain
from booper.model.suggestion import did_you_mean


def _topic(ctx: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
    """Return a topic in small letters. Raises: BadParameter, there is no such topic."""
    if text is None or (name := text.lower()) in TOPICS:
        return text and name
    hint = did_you_mean(name, TOPICS) or f"expected {', '.join(TOPICS)}"
    raise click.BadParameter(f"there is no topic {text[:40]!r}; {hint}")


def _complete(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    return [name for name in TOPICS if name.startswith(typed)]


@click.command()
@click.argument("topic", callback=_topic, shell_complete=_complete, required=False)
def docs(topic: str | None) -> None:
    """Show one TOPIC of the reference, or the list of topics."""
    if topic is None:
        room = max(map(len, TOPICS))
        click.echo("\n".join(f"{name:{room}}  {summary(name)}" for name in TOPICS))
    elif (width := terminal_width()) is None:
        click.echo(markdown(topic), nl=False)
    else:
        click.echo_via_pager(plain(markdown(topic), width))
