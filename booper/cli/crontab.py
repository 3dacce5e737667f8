"""What `booper import crontab` does: it makes schedules of lines, and shows them."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

import click

from booper.cli.crontab_lines import Planned, Wanted, planned_lines
from booper.cli.output import Output
from booper.cli.shown import spelled
from booper.cli.table import table, terminal_width
from booper.cli.text import printable
from booper.client import Client
from booper.model.crontab import Crontab, Remark

_HEADS: Final = ("line", "result", "cron", "timezone", "next run", "name", "what")
_FLEXIBLE: Final = ("cron", "name", "what")


def import_crontab(
    out: Output, found: Crontab, wanted: Wanted, *, skips_bad: bool, is_dry: bool
) -> None:
    """Make the schedules, or show what would be made; ends with 1 if a line was not taken."""
    faults = list(found.faults)
    planned = list(planned_lines(out.client, found, wanted, faults))
    faults.sort(key=lambda fault: fault.line)
    is_refused = bool(faults) and not skips_bad
    if not is_dry and not is_refused:
        _make(out.client, planned)
    if is_dry or not is_refused:
        value = _value(planned, found, faults, is_dry=is_dry)
        out.show(value, "\n".join(_lines(planned, found, is_dry=is_dry)))
    for fault in faults:
        click.echo(printable(f"booper: line {fault.line}: {fault.detail}"), err=True)
    if is_refused:
        advice = "correct the file, or import the other lines by --skip-bad"
        click.echo(f"booper: nothing was imported; {advice}", err=True)
        sys.exit(1)


def _make(client: Client, planned: Sequence[Planned]) -> None:
    """Make and change schedules, all of them or none."""
    creates = [each.fields for each in planned if each.result != "unchanged"]
    if creates:
        client.jobs.create_many(creates, atomic=True)


def _value(
    planned: Sequence[Planned], found: Crontab, faults: Sequence[Remark], *, is_dry: bool
) -> dict[str, Any]:
    """Return what was or would be made, for programs."""
    lines = [
        {
            "line": each.entry.line,
            "result": each.result,
            "next_run": each.next_at,
            "refusal": each.refusal,
            **each.fields,
        }
        for each in planned
    ]
    return {"dry_run": is_dry, "lines": lines, "left_out": found.left_out, "refused": faults}


def _lines(planned: Sequence[Planned], found: Crontab, *, is_dry: bool) -> Iterator[str]:
    """Yield the lines that show it to people."""
    if planned:
        yield from table(_HEADS, [_row(each) for each in planned], _FLEXIBLE, terminal_width())
    for left_out in found.left_out:
        yield f"line {left_out.line} is left out: {left_out.detail}"
    for each in planned:
        if each.refusal:
            yield f"line {each.entry.line}: its requests would fail now: {each.refusal}"
    counts = Counter(each.result for each in planned)
    verb = "would be " if is_dry else ""
    yield (
        f"{counts['new']} {verb}created, {counts['changed']} {verb}changed, "
        f"{counts['unchanged']} unchanged"
    )


def _row(planned: Planned) -> tuple[str, ...]:
    fields = planned.fields
    return (
        str(planned.entry.line),
        planned.result,
        planned.entry.cron,
        str(fields["timezone"]),
        spelled(planned.next_at) if planned.next_at else "-",
        planned.entry.name,
        f"{str(fields['method']).upper()} {fields['url']}",
    )
