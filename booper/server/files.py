"""How many files this process may have open: raising the limit, and warning when it is too low.

Each connection needs one, in and out. Beyond the limit nothing can be accepted, sent or resolved.
"""

import logging
import resource

log = logging.getLogger("booper")

MAX_FILES = 65_536

# The database, its log and sockets, look-ups of names, and what the interpreter has open.
OWN_FILES = 64


def raise_file_limit() -> None:
    """Raise the limit as far as this user may, up to `MAX_FILES`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def files_to_spare(wanted: int) -> int:
    """Return how many files may be kept open in case they are of use: a quarter at most."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else min(wanted, soft // 4)


def check_file_limit(connections: int, concurrency: int) -> None:
    """Log a warning where the limit is too low for so many connections in and requests out."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + concurrency + OWN_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    log.warning(
        "this process may open %d files, which is too few for %d connections "
        "([server] max_connections), %d requests at a time ([delivery] concurrency) and %d files "
        "of its own; allow %d (`ulimit -n`, LimitNOFILE= of systemd), or lower the settings",
        soft,
        connections,
        concurrency,
        OWN_FILES,
        needed,
    )
