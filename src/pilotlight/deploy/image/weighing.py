"""The ways to the weights for one image, with what is known of its models on this machine."""

from __future__ import annotations

from collections.abc import Iterator

from pilotlight.deploy.image import baked, choices
from pilotlight.deploy.image.built import Layer
from pilotlight.deploy.image.request import ImageRequest
from pilotlight.store.store import Store


def weighed(request: ImageRequest, layers: tuple[Layer, ...]) -> Iterator[str]:
    """Where instances could have the weights from, and what each way takes: a line each."""
    model_bytes = _model_bytes(request)
    if request.size is None or model_bytes is None:
        return
    image_bytes = sum(one.size_bytes or 0 for one in layers if one.purpose != "models")
    for platform in request.platforms:
        yield choices.text(
            choices.choices(
                platform, request.size, model_bytes=model_bytes, image_bytes=image_bytes
            )
        )


def _model_bytes(request: ImageRequest) -> int | None:
    """None where a model isn't on this machine, or there is none with bytes."""
    store = Store(request.data_dir / "store", request.store)
    found = [store.present(one.ref) for one in baked.wanted(request.serve, request.store)]
    if not found or None in found:
        return None
    return sum(files.size_bytes for files in found if files is not None)
