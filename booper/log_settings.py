"""The settings of the table `[logging]`."""

from typing import Literal

from booper.setting_table import Table


class Logging(Table, frozen=True, kw_only=True):
    """How `booper serve` logs, and what; "auto" is text on a terminal, and JSON elsewhere."""

    format: Literal["auto", "text", "json"] = "auto"
    level: Literal["info", "warning", "error"] = "info"
    access: bool = False
