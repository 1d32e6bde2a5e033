"""The API keys that a platform hands over, put where the gateway reads them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pilotlight import durable
from pilotlight.errors import ConfigError
from pilotlight.gateway.keys import KeyStore

VARIABLE = "PILOTLIGHT_KEYS_JSON"
NAME = "PILOTLIGHT_KEYS_FILE"
MOUNTED = Path("/etc/pilotlight/keys.json")


def provide(data_dir: Path, environ: Mapping[str, str]) -> None:
    """Have ``data_dir/keys.json`` be the keys of the variable, or else of the mounted file.

    The file is linked, not copied: a platform that rotates a secret replaces what is mounted, and
    the gateway looks at it with every request. Without either, what is there stays.

    Raises:
        ConfigError: they can't be read. A broken secret never means an open server.
    """
    path = data_dir / "keys.json"
    text, mounted = environ.get(VARIABLE), _mounted(environ)
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if text:
            durable.write_text(path, text)
        elif mounted is not None:
            _link(path, mounted.absolute())
    except OSError as error:
        raise ConfigError(
            f"can't put keys into data_dir {str(data_dir)!r}: {error.strerror}",
            hint="set PILOTLIGHT_DATA_DIR to a directory that this user may write to",
        ) from None
    if text:
        _check(path, f"the variable {VARIABLE}")
    elif mounted is not None:
        _check(path, repr(str(mounted)))


def _mounted(environ: Mapping[str, str]) -> Path | None:
    """One that is named has to be there; without a name there may be none."""
    named = environ.get(NAME)
    mounted = Path(named) if named else MOUNTED
    if mounted.is_file():
        return mounted
    if named:
        raise ConfigError(
            f"the variable {NAME} is {named!r}, and no file is there",
            hint="mount a keys.json there, or leave the variable out",
        )
    return None


def _link(path: Path, mounted: Path) -> None:
    if mounted.parent.resolve() / mounted.name == path.parent.resolve() / path.name:
        return  # it is mounted where it is read; a link to itself would take its place
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    partial.symlink_to(mounted)
    partial.replace(path)


def _check(path: Path, where: str) -> None:
    try:
        KeyStore(path).any()
    except ConfigError:
        raise ConfigError(
            f"{where} holds no keys that can be read",
            hint="give it the content of a keys.json that `pilotlight keys create` wrote",
        ) from None
