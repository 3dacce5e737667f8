"""The daemon's log: lines of one turn of the loop are one write, and none is lost or late."""

import asyncio
import io
import logging

import pytest

from booper.cli.log_lines import LineFormatter
from booper.cli.logging_setup import LineHandler

pytestmark = pytest.mark.anyio


class Stream(io.StringIO):
    """A stream that remembers each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []
        self.is_broken = False

    def write(self, text: str) -> int:
        """Note a text, or refuse it as a pipe does that nobody reads."""
        if self.is_broken:
            raise BrokenPipeError
        self.writes.append(text)
        return len(text)


@pytest.fixture
def stream() -> Stream:
    """Return a stream."""
    return Stream()


@pytest.fixture
def log(stream: Stream) -> logging.Logger:
    """Return a logger whose only handler writes to the stream."""
    logger = logging.Logger("lines", logging.INFO)
    logger.addHandler(LineHandler(stream))
    return logger


async def test_lines_of_one_turn_are_one_write(log: logging.Logger, stream: Stream) -> None:
    """Two lines of a turn leave together at its end, the next turn's by themselves."""
    turn = asyncio.Event()
    asyncio.get_running_loop().call_soon(turn.set)
    log.info("one")
    log.info("two")
    assert stream.writes == []
    await turn.wait()
    assert stream.writes == ["one\ntwo\n"]
    log.info("three")
    turn.clear()
    asyncio.get_running_loop().call_soon(turn.set)
    await turn.wait()
    assert stream.writes == ["one\ntwo\n", "three\n"]


async def test_a_warning_leaves_at_once_behind_what_came_before(
    log: logging.Logger, stream: Stream
) -> None:
    """Somebody may end the process next: what is wrong is told now, and in order."""
    log.info("one")
    log.warning("two")
    assert stream.writes == ["one\ntwo\n"]


def test_without_a_loop_each_line_leaves_at_once(log: logging.Logger, stream: Stream) -> None:
    """Where no turn ends, nothing is held."""
    log.info("one")
    log.info("two")
    assert stream.writes == ["one\n", "two\n"]


async def test_another_threads_line_takes_along_what_is_held(
    log: logging.Logger, stream: Stream
) -> None:
    """A thread has no turn that ends; its line stays behind those before it."""
    log.info("one")
    await asyncio.to_thread(log.info, "two")
    assert "".join(stream.writes) == "one\ntwo\n"


async def test_what_is_held_at_the_end_is_flushed(log: logging.Logger, stream: Stream) -> None:
    """`logging.shutdown` flushes each handler when the process ends."""
    log.info("one")
    log.handlers[0].flush()
    assert stream.writes == ["one\n"]


async def test_a_stream_that_nobody_reads_ends_nothing(log: logging.Logger, stream: Stream) -> None:
    """A broken pipe loses the line and raises nowhere; the next one is tried again."""
    stream.is_broken = True
    log.warning("lost")
    stream.is_broken = False
    log.warning("found")
    assert stream.writes == ["found\n"]


def test_a_line_that_cannot_be_spelled_does_not_raise(
    log: logging.Logger, stream: Stream, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with every handler of the standard library, the traceback goes to stderr."""
    log.info("%d", "no number")
    assert stream.writes == []
    assert "Logging error" in capsys.readouterr().err


def test_times_are_utc_and_say_so() -> None:
    """1,800,000,000 s are 20,833 days (up to 2027-01-15) and 8 hours; the zone is no matter."""
    mine = LineFormatter()
    for created, at in (
        (1_800_000_000.0, "08:00:00.000"),
        (1_800_000_000.25, "08:00:00.250"),
        (1_800_000_001.0, "08:00:01.000"),
        (1_799_999_999.75, "07:59:59.750"),
    ):
        values = {"msg": "job 1", "levelname": "INFO", "created": created}
        record = logging.makeLogRecord(values | {"msecs": created % 1 * 1000})
        assert mine.format(record) == f"2027-01-15T{at}Z INFO job 1"


def test_what_was_raised_is_told_below_the_line() -> None:
    """The traceback stands there, as does a stack that was asked for."""
    values = {"msg": "job %d", "args": (1,), "levelname": "ERROR", "created": 1_800_000_000.0}
    try:
        raise ValueError("unex\u202epected")
    except ValueError as error:
        raised = (ValueError, error, error.__traceback__)
    record = logging.makeLogRecord(values | {"msecs": 0})
    first = "2027-01-15T08:00:00.000Z ERROR job 1"
    for more, last in (
        ({"exc_info": raised}, "ValueError: unex\\u202epected"),
        ({"stack_info": "Stack:"}, "Stack:"),
        ({"exc_text": "cached"}, "cached"),
    ):
        lines = LineFormatter().format(logging.makeLogRecord(vars(record) | more)).splitlines()
        assert (lines[0], lines[-1]) == (first, last)


def test_what_others_wrote_neither_begins_a_line_nor_steers_a_terminal() -> None:
    """A line break of theirs would make a line that booper never wrote."""
    record = logging.makeLogRecord({"msg": "job 1: %s", "args": ("a\n2027 b\x1b[2J\x9b\u202e",)})
    assert LineFormatter().format(record).endswith(r"job 1: a\n2027 b\x1b[2J\x9b\u202e")
