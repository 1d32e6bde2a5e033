"""Flags made from the declared settings, and the settings they lead to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from pilotlight import config
from pilotlight.config import Declared, Settings
from pilotlight.quantities import show_bytes, show_seconds

_F = TypeVar("_F", bound=Callable[..., Any])


def with_options(function: _F, options: Sequence[Callable[[_F], _F]]) -> _F:
    """`function` with options in this order in its `--help`, though decorators go bottom-up."""
    for option in reversed(options):
        function = option(function)
    return function


_METAVARS: Mapping[Any, str] = {
    config.Seconds: "DURATION",
    config.Bytes: "SIZE",
    int: "N",
    float: "NUMBER",
    str: "TEXT",
    Path: "PATH",
    tuple[str, ...]: "LIST",
}


def show(item: Declared, value: Any) -> str:
    """A value as a configuration file writes it; empty for none."""
    if value is None or value == ():
        return ""
    if item.kind is config.Seconds:
        return show_seconds(value)
    if item.kind is config.Bytes:
        return show_bytes(value)
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)


def show_default(item: Declared) -> str:
    return item.shown or show(item, item.default)


class SettingOption(click.Option):
    """The flag of one declared setting; `config.load` reads its text, so errors are one kind."""

    def __init__(self, item: Declared) -> None:
        default = show_default(item)
        tail = f"  [{'; '.join([item.env] + ([f'default: {default}'] if default else []))}]"
        switch = item.kind is bool
        flag = f"{item.flag}/--no-{item.flag[2:]}" if switch else item.flag
        choices = "|".join(item.choices)
        super().__init__(
            [_parameter(item), flag],
            help=item.help + tail,
            metavar=None if switch else choices or _METAVARS[item.kind],
            type=bool if switch else click.Path() if item.kind is Path else str,
            is_flag=switch,
            default=None,
        )
        self.setting = item


def _parameter(item: Declared) -> str:
    return "setting_" + "_".join(item.path)


def _within(item: Declared, prefixes: tuple[str, ...]) -> bool:
    path = ".".join(item.path)
    return not prefixes or any(path == p or path.startswith(f"{p}.") for p in prefixes)


def setting_flags(*prefixes: str) -> Callable[[_F], _F]:
    """A flag for every declared setting under `prefixes` (all without any), secrets excepted."""

    def attach(function: _F) -> _F:
        chosen = [d for d in config.declared() if _within(d, prefixes) and not d.secret]
        parameters = [SettingOption(item) for item in chosen]
        # Click collects decorators bottom up in this attribute and reverses them.
        function.__dict__.setdefault("__click_params__", []).extend(reversed(parameters))
        return function

    return attach


config_file = click.option(
    "--config",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="the configuration file the settings come from",
)


def given(context: click.Context) -> dict[tuple[str, ...], Any]:
    """The settings given as flags, by path."""
    return {
        option.setting.path: context.params[option.name]
        for option in context.command.params
        if isinstance(option, SettingOption)
        and option.name
        and context.get_parameter_source(option.name) == ParameterSource.COMMANDLINE
    }


def settings(context: click.Context, file: Path | None) -> Settings:
    """Raises ConfigError."""
    return config.load(file, flags=given(context))


def data_dir(context: click.Context, file: Path | None) -> Path:
    return settings(context, file).data_dir
