"""The templates: loaded once, and how values become text in them.

Whatever a template shows is escaped. Characters that would change what others look like are shown
as escapes: a name must not turn the line around, nor hide a part of itself.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from jinja2 import Environment, FunctionLoader, StrictUndefined

from booper.dashboard.menu import MENU
from booper.dashboard.static import static_path
from booper.dashboard.text import FILTERS, visible
from booper.dashboard.visit import Renderer


@cache
def renderer() -> Renderer:
    """Return what renders templates; the first call reads and compiles all of them."""
    environment = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    environment.filters.update(FILTERS)
    environment.globals.update(menu=MENU, static=static_path)
    for name in names():
        environment.get_template(name)

    def render(name: str, values: Mapping[str, Any]) -> str:
        return environment.get_template(name).render(values)

    return render


def names() -> list[str]:
    """Return the names of all templates."""
    folder = files(__package__) / "templates"
    return sorted(item.name for item in folder.iterdir() if item.name.endswith(".html"))


def _source(name: str) -> str | None:
    path = files(__package__) / "templates" / name
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _shown(value: object) -> object:
    """Return what an expression shows of a value."""
    if type(value) is str:
        return visible(value)
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    return "" if value is None else value
