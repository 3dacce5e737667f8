"""`booper run`: one request, now, later, or repeatedly."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, cast

import click

from booper.cli.remote import client_command
from booper.cli.times import check_governed
from booper.clock import SystemClock
from booper.model.fields import CREATE_FIELDS, FieldKind

if TYPE_CHECKING:
    from booper.cli.output import Output
    from booper.client.fields import Method

METHODS: Final = ("get", "post", "put", "patch", "delete")


@click.command()
@click.argument("words", nargs=-1, metavar="[METHOD] URL")
@click.option(
    "--data",
    "-d",
    multiple=True,
    metavar="DATA",
    help="The body: NAME=VALUE (can be repeated), JSON, @FILE, or - for standard input.",
)
@click.option(
    "--header", "-H", multiple=True, metavar="NAME:VALUE", help="A header (can be repeated)."
)
@click.option(
    "--in",
    "schedule_in",
    metavar="DURATION",
    help="Send after this time, such as 90s or 1h30m; a number is seconds.",
)
@click.option(
    "--at", "scheduled_at", metavar="TIME", help="Send at this time: ISO 8601, or a Unix time."
)
@click.option("--schedule", hidden=True, help="The older spelling: 'in 30 seconds'.")
@click.option(
    "--every",
    "repeat_every",
    metavar="DURATION",
    help="Repeat at this interval, such as 5m or '2 days'.",
)
@click.option(
    "--cron", metavar="CRON", help="Repeat by a cron expression, such as '0 9 * * MON-FRI'."
)
@click.option(
    "--timezone",
    metavar="ZONE",
    help="The time zone of --cron, and of an --at without a zone, such as Europe/Berlin.",
)
@click.option(
    "--max-attempts", type=int, metavar="N", help="The number of attempts, including the first."
)
@click.option("--timeout", metavar="DURATION", help="How long one attempt may take, such as 10s.")
@click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="TAG",
    help="A tag to find the job by (can be repeated).",
)
@click.option(
    "--callback", "callback_url", metavar="URL", help="The URL to post the final result to."
)
@click.option("--webhook", "webhook_url", metavar="URL", help="The URL to post each step to.")
@click.option(
    "--idempotency-key",
    metavar="KEY",
    help="Create nothing if an unfinished job has this key.",
)
@click.option(
    "--idempotency-ttl",
    metavar="DURATION",
    help="How long the key stays taken, even if the job has finished, such as 1d.",
)
@click.option("--keep-for", metavar="DURATION", help="How long the job is kept after its end: 30d.")
@click.option("--name", help="A name for the job or schedule.")
@client_command
def run(
    out: "Output",
    words: tuple[str, ...],
    data: tuple[str, ...],
    header: tuple[str, ...],
    schedule: str | None,
    tags: tuple[str, ...],
    **fields: Any,
) -> None:
    """Send a request to URL: now, later, or repeatedly.

    METHOD is get, post, put, patch or delete. The default is get, or post if there is --data.
    With get, --data becomes the query.
    """
    from booper.cli.typed import data_of, query_of, split_pairs

    method, url = _method_and_url(words, has_data=bool(data))
    if schedule is not None:
        if fields["schedule_in"] is not None:
            raise click.UsageError("--schedule is the older spelling of --in; give one of them")
        fields["schedule_in"] = schedule.removeprefix("in ")
    fields |= _times(fields)
    if fields["idempotency_ttl"] is not None and fields["idempotency_key"] is None:
        raise click.UsageError(
            "--idempotency-ttl has no effect without --idempotency-key; give both, or neither"
        )
    check_governed(fields, SystemClock().now())
    if header:
        fields["headers"] = split_pairs("--header", header, ":")
    if data and method == "get":
        fields["query"] = query_of(data)
    elif data:
        fields["body"] = data_of(data, is_text=_is_text(fields.get("headers", {})))
    out.job(out.client.jobs.create(method=method, url=url, tags=list(tags) or None, **fields))


def _method_and_url(words: Sequence[str], *, has_data: bool) -> tuple["Method", str]:
    """Read `[METHOD] URL`. Raises: UsageError."""
    match words:
        case [url] if url.lower() not in METHODS:
            return "post" if has_data else "get", url
        case [method, url] if method.lower() in METHODS:
            return cast("Method", method.lower()), url
        case [] | [_]:
            raise click.UsageError("there is no URL; write `booper run post https://example.com/`")
        case [url, method] if method.lower() in METHODS:
            raise click.UsageError(f"METHOD comes first; write `booper run {method} {url}`")
        case [method, _]:
            known = ", ".join(METHODS)
            raise click.UsageError(f"METHOD: {method!r} is not one of {known}")
        case _:
            raise click.UsageError(
                f"expected METHOD and URL, got {len(words)} words; a word with spaces needs quotes"
            )


def _is_text(headers: dict[str, str]) -> bool:
    """Return whether the headers name a type of body that is not JSON."""
    kinds = [value for name, value in headers.items() if name.lower() == "content-type"]
    return bool(kinds) and "json" not in kinds[0].lower()


def _times(fields: dict[str, Any]) -> dict[str, Any]:
    """Read the times among what was typed. Raises: InvalidArgument."""
    from booper.cli.typed import duration_of, moment_of

    readers = {FieldKind.DURATION: duration_of, FieldKind.MOMENT: moment_of}
    return {
        name: readers[field.kind](field.option, fields[name])
        for name, field in CREATE_FIELDS.items()
        if field.kind in readers and field.option is not None and fields[name] is not None
    }
