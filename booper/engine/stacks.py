"""Where each task waits, for the log of a process in which one of them does so for ever."""

import asyncio
import io


def stacks_of_tasks() -> str:
    """Return the stacks of all tasks of this loop, by their names."""
    text = io.StringIO()
    for task in sorted(asyncio.all_tasks(), key=lambda each: each.get_name()):
        task.print_stack(file=text)
    return text.getvalue()
