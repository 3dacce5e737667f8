"""For the tests of programs that use booper: one whose time and whose targets are the test's.

    def test_a_reminder_comes(booper: VirtualBooper) -> None:
        booper.client.jobs.create(url="https://example.com/remind", schedule_in="3 days")
        booper.advance(days=3)
        booper.sent.to("https://example.com/remind").one()

`booper.plugin` has the fixture; a fixture of your own may start one with other settings.
"""

from booper.testing.sent import Sent, SentRequests
from booper.testing.target import ScriptedResponse
from booper.testing.virtual import KEY, VirtualBooper
from booper.travel import Journey, Ran

__all__ = ["KEY", "Journey", "Ran", "ScriptedResponse", "Sent", "SentRequests", "VirtualBooper"]
