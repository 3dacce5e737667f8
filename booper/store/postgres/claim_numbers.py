"""From which claim on attempts may still be on their way.

PostgreSQL keeps what was deleted or changed for whoever holds a snapshot from before, such as a
backup, and a statement that looks for what executes would walk over all that has executed since.
Claims draw their numbers one after the other, under the lock of slots. So once a count under that
lock has found nothing older than a number, all older claims have ended. Those that were not
numbered, by a booper of the schema before, have 0 and are counted always.
"""

from collections.abc import Sequence
from typing import Final

Known = Sequence[tuple[str, str, int, int]]
"""What a count has found: kind, key, how many, and the first number of their claims."""

# The numbers may go back where another server takes over, which begins another life.
LIFE: Final = "SELECT 'life', life::text, 0, last_value FROM server_life, claim_numbers"


class OldestClaim:
    """The number from which on a node counts claims: 0, all of them, until it has counted once."""

    def __init__(self) -> None:
        self.number = 0
        self._life = ""

    def forget(self) -> None:
        """Count all claims next time: what was seen was not committed."""
        self.number = 0

    def note(self, known: Known) -> bool:
        """Note what was found from the number on, under the lock; return whether that is all.

        It is not where the server is another: claims are to be counted anew, from 0 on.
        """
        life, last = next(((key, last) for kind, key, _, last in known if kind == "life"), ("", 0))
        if self.number and (not life or life != self._life):
            self.number = 0
            return False
        self._life = life
        first = min((first for kind, _, _, first in known if kind == "executing"), default=last)
        self.number = first if life else 0
        return True
