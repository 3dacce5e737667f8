"""A message as Discord's "Execute Webhook" takes it."""

import pytest

from booper.wire.discord import discord_body


def test_it_can_ping_nobody() -> None:
    """Allowed mentions parse nothing, so @everyone stays text; no author, no user name."""
    assert discord_body("Hi @everyone", None) == {
        "content": "Hi @everyone",
        "allowed_mentions": {"parse": []},
    }


@pytest.mark.parametrize(
    ("length", "expected"),
    [(2_000, "🦊" * 2_000), (2_001, "🦊" * 1_999 + "…"), (4_000, "🦊" * 1_999 + "…")],
)
def test_long_content_is_cut(length: int, expected: str) -> None:
    """Discord takes 2,000 code points; of more, 1,999 and an ellipsis remain."""
    assert discord_body("🦊" * length, None)["content"] == expected


@pytest.mark.parametrize(
    ("author", "username"),
    [
        ("Ann", "Ann"),
        ("  Ann ", "Ann"),
        ("a" * 80, "a" * 80),
        ("a" * 81, "a" * 79 + "…"),
        ("Groundsphere", "Groundsphere"),
        ("", None),
        (" ", None),
        ("My Discord bot", None),
        ("Bonnie and CLYDE", None),
        ("everyone", None),
        ("Here", None),
    ],
)
def test_the_author_is_the_user_name(author: str, username: str | None) -> None:
    """1 to 80 characters; what Discord refuses is left out, rather than the message lost."""
    assert discord_body("Hi", author).get("username") == username
