"""The daemon's log: lines of one turn of the loop are one write, and none is lost or late."""

import asyncio
import io
import logging

import pytest

from booper.cli.lines import FORMAT, LineFormatter, LineHandler

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


def test_times_are_the_standard_librarys() -> None:
    """Across seconds, milliseconds and a step back, each line has the time it would have anyway."""
    mine, standard = LineFormatter(), logging.Formatter(FORMAT)
    for created in (1_800_000_000.0, 1_800_000_000.25, 1_800_000_001.0, 1_799_999_999.75):
        values = {"msg": "job 1", "levelname": "INFO", "created": created}
        record = logging.makeLogRecord(values | {"msecs": created % 1 * 1000})
        assert mine.format(record) == standard.format(record)


def test_what_was_raised_is_told_as_the_standard_library_does() -> None:
    """The traceback stands below the line, as does a stack that was asked for."""
    mine, standard = LineFormatter(), logging.Formatter(FORMAT)
    values = {"msg": "job %d", "args": (1,), "levelname": "ERROR", "created": 1_800_000_000.0}
    try:
        raise ValueError("unexpected")
    except ValueError as error:
        raised = (ValueError, error, error.__traceback__)
    for more in ({"exc_info": raised}, {"stack_info": "Stack:"}, {"exc_text": "cached"}):
        text = mine.format(logging.makeLogRecord(values | more))
        assert text == standard.format(logging.makeLogRecord(values | more))
        assert text.count("\n") >= 1
