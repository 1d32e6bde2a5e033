"""YAML as a configuration needs it: plain data, no key twice, errors with a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from pilotlight.errors import ConfigError


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
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise ConfigError(
            f"can't read {str(path)!r}: {error.strerror}", hint="give the path of a YAML file"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(
            f"{str(path)!r} is not a text file", hint="give the path of a YAML file"
        ) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        spot = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise ConfigError(f"{spot}: not valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from None
