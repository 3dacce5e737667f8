"""The published document against the API: what one takes, the other takes, and wrong is wrong.

The bodies are those of the tables by which the API itself is tested.
"""

from collections.abc import Iterator
from random import Random
from typing import Any

import jsonschema_rs
import msgspec

from booper.api.jobs import EXAMPLES
from booper.model.cron import InvalidCron
from booper.model.recurrence import Cron
from tests.api import test_hostile_input as hostile
from tests.model import test_cron_table as crons
from tests.model import test_moment as moments
from tests.model import test_times as times
from tests.support.described import described
from tests.support.guard_corpus import ACCEPTED
from tests.whole import test_durations as durations

URL = "https://target.test/hook"
PUBLIC_URLS = ("https://8.8.8.8/x", "https://a.b.c.d.example.com/")
COMMON_CRONS = ("0 9 1-7,15 * *", "*/15 9-17 * * mon-fri")
CRONS = 2_000

Body = dict[str, Any]


def valid() -> Iterator[Body]:
    """Yield the bodies of creates that the tables have as right."""
    yield from (dict(example) for example in EXAMPLES.values() if isinstance(example, dict))
    yield from ({"url": URL, **fields} for fields in hostile.ACCEPTED)
    yield from ({"url": url} for url in (*PUBLIC_URLS, *(url for url, _ in ACCEPTED)))
    for duration in (*(value for value, _ in times.DURATIONS), *(t for t, _ in durations.READ)):
        yield {"url": URL, "schedule_in": duration}
    for moment in (*(value for value, _ in times.MOMENTS), *(text for text, _ in moments.READ)):
        yield {"url": URL, "scheduled_at": moment}
    for cron, zone, *_ in (*crons.FIELDS, *crons.DATES, *crons.ZONES):
        yield {"url": URL, "cron": cron, "timezone": zone}
    yield from ({"url": URL, "cron": cron} for cron in COMMON_CRONS)


def invalid() -> Iterator[Body]:
    """Yield the bodies that the tables have as wrong.

    Not those whose URL the guard refuses: which it does is the operator's choice.
    """
    for field, value, _ in hostile.WRONG:
        yield {"url": URL, **hostile.BESIDE.get(field, {}), field: value}
    for field, value in hostile.WITHOUT_MEANING.items():
        yield {"url": URL, field: value}
    for duration in (*(value for value, _, _ in times.WRONG_DURATIONS), *durations.REFUSED):
        yield {"url": URL, "schedule_in": duration}
    for moment in (*times.WRONG_MOMENTS, *moments.REFUSED):
        yield {"url": URL, "scheduled_at": moment}
    yield from ({"url": URL, "cron": cron} for cron, _ in crons.REFUSED)


def validator(name: str = "Args") -> jsonschema_rs.Draft202012Validator:
    """Return what validates by a schema of the published document."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": described()["components"]}
    return jsonschema_rs.Draft202012Validator(schema)


def as_json(body: Body) -> Any:
    """Return a body as a reader of JSON has it; None if it is no JSON that one can read."""
    try:
        return msgspec.json.decode(msgspec.json.encode(body))
    except (ValueError, OverflowError, msgspec.MsgspecError):
        return None


def test_what_the_api_takes_the_document_takes() -> None:
    """Every valid body of the tables, and the two URLs and two crons that are common."""
    schema = validator()
    bodies = [as_json(body) for body in valid()]
    assert len(bodies) > 250
    assert [body for body in bodies if not schema.is_valid(body)] == []


def test_most_of_what_the_api_refuses_the_document_refuses() -> None:
    """At least four of five; what depends on the clock or on other fields no schema can say."""
    schema = validator()
    bodies = [body for body in map(as_json, invalid()) if body is not None]
    taken = [body for body in bodies if schema.is_valid(body)]
    assert len(bodies) > 500
    assert len(taken) / len(bodies) <= 0.2, (len(taken), len(bodies), taken)


NAMES: dict[int, tuple[str, ...]] = {
    3: ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"),
    4: ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"),
}
BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
ALIASES = ("@hourly", "@daily", "@Weekly", " @monthly ", "@yearly", "@annually")


def generated_item(random: Random, field: int) -> str:
    """Return an item of a field: any, a step, a number, a range, or a name in any letter case."""
    low, high = BOUNDS[field]
    first = random.randint(low, high)
    last, step = random.randint(first, high), random.randint(1, high)
    name = random.choice(NAMES.get(field, (str(first),)))
    ranges = (f"{first}-{last}", f"{first}-{last}/{step}")
    return random.choice(("*", f"*/{step}", f"{first:02}", *ranges, name, name.title()))


def generated_crons(random: Random) -> Iterator[str]:
    """Yield crons of all forms, with lists and any space between fields."""
    while True:
        fields = [
            ",".join(generated_item(random, field) for _ in range(random.choice((1, 1, 2, 4))))
            for field in range(5)
        ]
        yield random.choice((" ", " ", "  ", "\t")).join(fields)
        if random.random() < 0.05:
            yield random.choice(ALIASES)


def test_two_thousand_generated_crons_that_the_api_takes_the_document_takes() -> None:
    """No cron that can be planned is refused by a client that validates first."""
    schema, accepted = validator("Cron"), set[str]()
    for cron in generated_crons(Random(1)):
        try:
            Cron.parse(cron)
        except InvalidCron:
            continue
        accepted.add(cron)
        if len(accepted) == CRONS:
            break
    assert [cron for cron in accepted if not schema.is_valid(cron)] == []


def test_a_person_can_read_the_schemas() -> None:
    """No pattern has over 240 characters, and what an operation needs is a sentence."""
    assert max(len(pattern) for pattern in patterns(described())) <= 240
    needs = [
        operation["description"]
        for item in described()["paths"].values()
        for operation in item.values()
    ]
    assert "Needs no key." in needs
    assert not [text for text in needs if "needed" in text]


def patterns(part: Any) -> Iterator[str]:
    """Yield all patterns in a part of the document."""
    if isinstance(part, dict):
        if isinstance(part.get("pattern"), str):
            yield part["pattern"]
        for value in part.values():
            yield from patterns(value)
    elif isinstance(part, list | tuple):
        for value in part:
            yield from patterns(value)
