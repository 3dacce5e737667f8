"""Alerts as receivers get them."""

from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from booper.model.alert import Alert, AlertKind, Telling
from booper.wire.alert import Form, form_body, form_url, mail, ntfy_parts, title

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
ALERT = Alert(
    id=UUID("019b76da-a800-7000-8000-5b8f1d9a6c3e"),
    kind=AlertKind.JOB_DISCARDED,
    key="tag a",
    subject="a <b> & c",
    detail="job 1 was discarded",
    path="/api/jobs/1",
    since=NOW - timedelta(minutes=1),
    last_at=NOW,
    count=3,
)
PUBLIC = "https://booper.example.com/tools"


def body(form: Form, telling: Telling = Telling.OPENED, **changes: Any) -> Any:
    """Return what a receiver gets."""
    alert = replace(ALERT, **changes)
    return form_body(form, alert, telling, NOW, "https://ntfy.example/my%20topic?auth=x", PUBLIC)


def test_boopers_own_form_is_that_of_its_events() -> None:
    """Part 4: type, timestamp, and data of six keys."""
    assert body(Form.BOOPER) == {
        "type": "alert.opened",
        "timestamp": "2030-01-01T12:00:00.000000Z",
        "data": {
            "id": "019b76da-a800-7000-8000-5b8f1d9a6c3e",
            "kind": "job.discarded",
            "subject": "a <b> & c",
            "since": "2030-01-01T11:59:00.000000Z",
            "detail": "job 1 was discarded",
            "url": "https://booper.example.com/tools/api/jobs/1",
        },
    }
    assert body(Form.BOOPER, Telling.CLOSED)["type"] == "alert.closed"


def test_ntfy_gets_json_at_its_root() -> None:
    """https://docs.ntfy.sh/publish/#publish-as-json: topic, title, message, priority, tags."""
    found = body(Form.NTFY)
    assert found["topic"] == "my topic"
    assert found["title"] == "job.discarded a <b> & c"
    assert found["message"].splitlines() == [
        "job 1 was discarded (3 times)",
        "Since 2030-01-01 11:59:00Z.",
        "https://booper.example.com/tools/api/jobs/1",
    ]
    assert (found["priority"], body(Form.NTFY, Telling.CLOSED)["priority"]) == (4, 3)
    url = "https://ntfy.example/my%20topic?auth=x"
    assert form_url(Form.NTFY, url) == "https://ntfy.example/?auth=x"
    assert form_url(Form.BOOPER, url) == url


@pytest.mark.parametrize("url", ["https://ntfy.sh", "https://ntfy.sh/", "https://ntfy.sh//"])
def test_an_ntfy_url_needs_a_topic(url: str) -> None:
    """The root is nobody's."""
    with pytest.raises(ValueError, match="the URL of a topic"):
        ntfy_parts(url)


def test_discord_gets_a_message_that_pings_nobody() -> None:
    """However long the detail is: Discord refuses more than 2,000 characters."""
    found = body(Form.DISCORD, detail="@everyone " + "x" * 5_000)
    assert found["content"].startswith("**job.discarded a <b> & c**\n@everyone xx")
    assert len(found["content"]) <= 2_000
    assert found["allowed_mentions"] == {"parse": []}


def test_slack_reads_no_links_and_no_mentions_in_names() -> None:
    """https://docs.slack.dev/messaging/formatting-message-text: &, < and > are escaped."""
    found = body(Form.SLACK, detail="<!channel>")
    assert found == {
        "text": "*job.discarded a &lt;b&gt; &amp; c*\n&lt;!channel&gt; (3 times)\n"
        "Since 2030-01-01 11:59:00Z.\nhttps://booper.example.com/tools/api/jobs/1"
    }


def test_a_mail_has_a_thread_for_each_opening_and_headers_that_nothing_breaks_out_of() -> None:
    """A subject with a line break in it is one line."""
    alert = replace(ALERT, subject="ä\r\nBcc: all@example.com", count=1)
    sent = mail(alert, Telling.CLOSED, NOW, "", "booper@example.com", "you@example.com")
    read = message_from_bytes(sent.as_bytes(), policy=policy.default)
    assert read["Subject"] == "[booper] over: job.discarded ä Bcc: all@example.com"
    assert read["Bcc"] is None
    assert read["References"] == "<019b76daa800700080005b8f1d9a6c3e@booper>"
    identity = "<019b76daa800700080005b8f1d9a6c3e.closed.20300101120000@booper>"
    assert read["Message-ID"] == identity
    assert read["Date"].datetime == NOW
    text = read.get_body()
    assert text is not None
    assert text.get_content() == "job 1 was discarded\nSince 2030-01-01 11:59:00Z.\n"


def test_a_title_is_short_and_one_line() -> None:
    """Whatever a schedule is called."""
    long = title(replace(ALERT, subject="x\u2028" * 1_000), Telling.OPENED)
    assert len(long) == 200
    assert long.endswith("…")
    assert "\u2028" not in long
