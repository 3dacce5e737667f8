"""Where a command's settings come from: options, variables, the file; and their names in errors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from booper.config import Config, read_config
from booper.errors import ConfigError


def read_settings(path: Path | None, overrides: Mapping[str, Mapping[str, Any]]) -> Config:
    """Return the configuration, with what was typed over it.

    Raises:
        ConfigError: the file cannot be used; it names BOOPER_CONFIG if that named the file.
    """
    try:
        return read_config(path, overrides)
    except ConfigError as error:
        if is_from_environment("config_path"):
            raise ConfigError(f"BOOPER_CONFIG: {error}") from error
        raise


def is_from_environment(parameter: str) -> bool:
    """Return whether a parameter of the running command was given by its variable."""
    context = click.get_current_context(silent=True)
    source = context and context.get_parameter_source(parameter)
    return source is ParameterSource.ENVIRONMENT


def source_of(parameter: str) -> str:
    """Return the name under which a parameter of the running command was given."""
    option = _parameter(parameter)
    if is_from_environment(parameter) and isinstance(option.envvar, str):
        return option.envvar
    return option.opts[0]


def option_of(parameter: str) -> str:
    """Return the option by which a parameter of the running command can be given."""
    return _parameter(parameter).opts[0]


def _parameter(name: str) -> click.Parameter:
    context = click.get_current_context()
    return next(each for each in context.command.params if each.name == name)
