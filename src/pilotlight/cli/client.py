"""What every command that talks to a running server shares: its flags, and the server found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from pilotlight.cli.connection import Server, find_server
from pilotlight.cli.flags import config_file, data_dir, setting_flags

_F = TypeVar("_F", bound=Callable[..., Any])


def server_flags(function: _F) -> _F:
    """``--url``, and the settings that lead to the server started on this machine."""
    url = click.option(
        "--url",
        metavar="URL",
        help="address of the server  [PILOTLIGHT_URL; default: the one running on this machine]",
    )
    return url(config_file(setting_flags("data_dir")(function)))


def the_server(context: click.Context) -> Server:
    """Raises ConfigError for a wrong address or configuration."""
    url = context.params["url"]
    return find_server(url, data_dir(context, context.params["file"]))
