"""Origins that stand for others: a production URL that is to reach a port of this machine."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from booper.errors import ConfigError, TargetRefused
from booper.guard.target import Target, parse_target

EXAMPLE = "https://api.example.com=http://localhost:3000"


class OriginMap:
    """Where requests to some origins really go; the rest of their URLs stays."""

    def __init__(self, origins: Mapping[str, str]) -> None:
        self._to = {_origin(from_).origin: _origin(to) for from_, to in origins.items()}

    @classmethod
    def parse(cls, entries: Sequence[str], own: Mapping[str, str]) -> "OriginMap":
        """Read entries `FROM=TO`, laid over `own`. Raises: ConfigError."""
        given: dict[str, str] = {}
        try:
            for entry in entries:
                from_, to = _split(entry)
                origin = _origin(from_).url
                if given.setdefault(origin, to) != to:
                    raise ConfigError(f"{from_} is mapped twice, to {given[origin]} and to {to}")
            return cls({**own, **given})
        except TargetRefused as error:
            raise ConfigError(f"a map must be FROM=TO, such as {EXAMPLE}: {error}") from error

    def applied_to(self, url: str) -> str:
        """Return where a request really goes. Raises: TargetRefused, if `url` is none."""
        target = parse_target(url)
        to = self._to.get(target.origin)
        if to is None:
            return url
        return replace(target, scheme=to.scheme, host=to.host, port=to.port).url


def _split(entry: str) -> tuple[str, str]:
    from_, separator, to = entry.partition("=")
    if not separator:
        raise ConfigError(f"a map must be FROM=TO, such as {EXAMPLE}, got {entry!r}")
    return from_, to


def _origin(text: str) -> Target:
    target = parse_target(text)
    if target.path != "/" or target.query:
        raise TargetRefused(f"expected an origin without a path, got {text!r}")
    return target
