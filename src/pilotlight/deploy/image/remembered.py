"""The image that was built last, by the deployment's name: the default of `Common.image`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pilotlight import durable
from pilotlight.errors import DeployError


def remembered(data_dir: Path, name: str) -> str | None:
    """What `deploy image` made last for `name`. Raises DeployError for a damaged file."""
    found = _read(_path(data_dir)).get(name)
    return str(found["image"]) if found else None


def remember(data_dir: Path, name: str, image: str, id: str) -> None:
    path = _path(data_dir)
    images = {**_read(path), name: {"image": image, "id": id}}
    durable.write_text(path, json.dumps(images, indent=1))


def _path(data_dir: Path) -> Path:
    return data_dir / "deploy" / "images.json"


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DeployError(
            f"can't read {str(path)!r}: {error}",
            hint="delete it, or name the image with --image",
        ) from None
    if not isinstance(found, dict) or not all(_is_image(one) for one in found.values()):
        raise DeployError(f"{str(path)!r} holds no images", hint="delete it")
    return found


def _is_image(entry: Any) -> bool:
    return isinstance(entry, dict) and "image" in entry
