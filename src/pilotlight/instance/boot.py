"""From a platform's environment to a serving gateway, in one process.

The configuration is a file; a variable ``PILOTLIGHT_…`` wins over it, so that a platform can
change one setting without another image. What platforms agree on comes in their own words: PORT,
and AWS_LAMBDA_RUNTIME_API where there is no port at all.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pilotlight import config, durable
from pilotlight.config import Settings
from pilotlight.errors import ConfigError, PilotlightError
from pilotlight.instance import keys

log = logging.getLogger(__name__)

CONFIG_FILE = Path("/etc/pilotlight/pilotlight.yaml")
WRITABLE = "/tmp"
"""The one place that every platform lets an instance write to; data_dir is below it."""

CONFIG_NAME = "PILOTLIGHT_CONFIG_FILE"
"""Names another file."""

CONFIG_TEXT = "PILOTLIGHT_CONFIG_YAML"
"""The file's content, on platforms that mount no files; it wins over the image's own."""

_OWN = (CONFIG_NAME, CONFIG_TEXT, keys.VARIABLE, keys.NAME)
_LAMBDA = "PILOTLIGHT_LAMBDA_"
"""What begins so is the Lambda runtime client's."""


def serve(environ: Mapping[str, str]) -> int:
    """Serve until SIGTERM; returns the exit code.

    Raises:
        ConfigError, EngineOptionError: before anything was started.
    """
    os.environ.setdefault("XDG_DATA_HOME", WRITABLE)
    try:
        settings = settings_of(environ)
        keys.provide(settings.data_dir, environ)
    except PilotlightError as error:
        _tell_lambda(error, environ)
        raise
    _say_what_runs(settings)
    if os.getpid() == 1:
        from pilotlight.instance import orphans

        orphans.reap_in_background()
    if environ.get("AWS_LAMBDA_RUNTIME_API"):
        return _serve_function(settings)
    from pilotlight.gateway.serve import run

    return run(settings)


def settings_of(environ: Mapping[str, str]) -> Settings:
    """Raises ConfigError naming the file or variable, the value and the next step."""
    file = _file(environ)
    if not file.is_file():
        raise ConfigError(
            f"there is no configuration at {str(file)!r}",
            hint=f"mount one there, or name another in {CONFIG_NAME}, or its text in {CONFIG_TEXT}",
        )
    known = {
        name: value
        for name, value in environ.items()
        if name not in _OWN and not name.startswith(_LAMBDA)
    }
    return config.load(file, flags=_from_platform(known), environ=known)


def _file(environ: Mapping[str, str]) -> Path:
    if named := environ.get(CONFIG_NAME):
        return Path(named)
    if text := environ.get(CONFIG_TEXT):
        return _written(text)
    return CONFIG_FILE


def _written(text: str) -> Path:
    """A file of the variable's text, so that an error in it has its line and column."""
    path = Path(tempfile.gettempdir()) / f"{CONFIG_TEXT}.yaml"
    try:
        durable.write_text(path, text)
    except OSError as error:
        raise ConfigError(
            f"can't write the text of {CONFIG_TEXT} to {str(path)!r}: {error.strerror}",
            hint="give the instance a /tmp that it may write to",
        ) from None
    return path


def _from_platform(environ: Mapping[str, str]) -> dict[tuple[str, ...], Any]:
    """Where to listen: a container's loopback is nobody else's."""
    flags: dict[tuple[str, ...], Any] = {}
    if config.env_name(("host",)) not in environ:
        flags["host",] = "0.0.0.0"
    if "PORT" in environ and config.env_name(("port",)) not in environ:
        flags["port",] = _port(environ["PORT"])
    return flags


def _port(text: str) -> int:
    if not (text.isdecimal() and 0 < int(text) < 2**16):
        raise ConfigError(
            f"the variable PORT is {text!r}, expected a TCP port",
            hint="leave it to the platform, or set it to 1 to 65535",
        )
    return int(text)


def _say_what_runs(settings: Settings) -> None:
    from pilotlight.gateway import logs
    from pilotlight.instance.cpu import here

    logs.configure(settings.log_level, settings.log_format)
    log.info("%s", here(settings.engines.llamacpp.server).sentence)


def _serve_function(settings: Settings) -> int:
    from pilotlight.instance.lambda_runtime import run  # only Lambda pays for its import

    return run(settings)


def _tell_lambda(error: PilotlightError, environ: Mapping[str, str]) -> None:
    """Else it says only that the runtime exited."""
    if environ.get("AWS_LAMBDA_RUNTIME_API"):
        from pilotlight.instance.lambda_runtime import report

        report(error, environ)
