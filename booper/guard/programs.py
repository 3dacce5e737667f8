"""Which URLs a program around booper may give to its jobs: those of hosts, and its own paths."""

from booper.errors import TargetRefused
from booper.guard.names import shown
from booper.guard.policy import Guard, Target


def check_of_program(guard: Guard, program: str, url: str) -> Target:
    """Read and judge a URL that the program of this origin (`app:`, `app://NAME`) has given.

    Raises:
        TargetRefused: see `Guard.check`; or it names another program.
    """
    target = guard.check_own(url)
    if target.is_app and target.origin != program:
        raise TargetRefused(
            f"url must begin with {program}/, which is this program, got {shown(url)}; "
            "[delivery] app_name gives a program a name"
        )
    return target
