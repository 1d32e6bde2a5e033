"""YAML as a configuration needs it: plain data, no key twice, errors with a line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from pilotlight.errors import ConfigError

T = TypeVar("T")


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, with a repeated key as an error: the later one would win unseen."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is there twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read(path: Path) -> Any:
    """Raises ConfigError: the file can't be read, or where it is wrong."""
    return parsed(path, lambda text: yaml.load(text, _Loader), "a YAML file")


def parsed(path: Path, parse: Callable[[str], T], what: str, *, columns: bool = True) -> T:
    """What PyYAML makes of the file at `path`, which should be `what`.

    Raises:
        ConfigError: it can't be read, or the line (and column) where it is no YAML.
    """
    try:
        return parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"can't read {str(path)!r}: {error.strerror}", hint=f"give the path of {what}"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(
            f"{str(path)!r} is not a text file", hint=f"give the path of {what}"
        ) from None
    except yaml.MarkedYAMLError as error:
        spot = str(path)
        if mark := error.problem_mark:
            spot += f":{mark.line + 1}" + f":{mark.column + 1}" * columns
        raise ConfigError(f"{spot}: not valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from None
