"""`booper serve` with a tenth of the log between checkpoints, for a tenth of the patience."""

import sys

from booper.cli import main
from booper.store.sqlite import connection

PART = 10

if __name__ == "__main__":
    connection.CHECKPOINT_PAGES //= PART
    sys.exit(main())
