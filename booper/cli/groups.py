"""Groups of commands that take a command's options before its name too."""

from collections.abc import Iterator

import click


class Group(click.Group):
    """A group: `booper --url X jobs list` and `booper jobs --url X list` are `… list --url X`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Move options that only commands below have behind the name of the next of them."""
        own = {name for option in self.params for name in option.opts}
        below = _options_below(self)
        moved: list[str] = []
        rest = list(args)
        while rest and rest[0].startswith("-") and rest[0].partition("=")[0] not in own:
            name, has_value, _ = rest[0].partition("=")
            if name not in below:
                break
            count = 2 if below[name] and not has_value else 1
            moved, rest = moved + rest[:count], rest[count:]
        if rest and not rest[0].startswith("-"):
            rest = [rest[0], *moved, *rest[1:]]
        else:
            rest = [*moved, *rest]
        return super().parse_args(ctx, rest)


def _options_below(group: click.Group) -> dict[str, bool]:
    """Return the options of all commands below a group, and whether each takes a value."""
    return {
        name: not option.is_flag
        for command in _commands_below(group)
        for option in command.params
        if isinstance(option, click.Option)
        for name in (*option.opts, *option.secondary_opts)
    }


def _commands_below(group: click.Group) -> Iterator[click.Command]:
    for command in group.commands.values():
        yield command
        if isinstance(command, click.Group):
            yield from _commands_below(command)
