"""Parts of a message's content, and images in particular."""

from __future__ import annotations

from typing import Any

from pilotlight.errors import FieldError, UnsupportedParameterError
from pilotlight.gateway.wire.checks import json_object, one_of, shape, string
from pilotlight.gateway.wire.table import Request

TEXT_ONLY_HINT = "send text, or images to a model that sees them"
detail = one_of("auto", "low", "high")
text_part = shape({"type": string, "text": string}, "text")


def refuse_images(path: str, request: Request) -> None:
    if not request.capabilities.vision:
        raise UnsupportedParameterError(
            f"{path!r} is an image, and this model sees none", param=path, hint=TEXT_ONLY_HINT
        )


def image_url(path: str, value: Any, request: Request) -> None:
    """A ``data:`` URL; any other would have the engine fetch addresses from inside our network."""
    string(path, value)
    if value.startswith("data:image/"):
        return
    if value.startswith(("http://", "https://")) and "image_url.remote" in request.honoured:
        return
    raise FieldError(path, value, "a data:image/…;base64,… URL", hint="send the image's own bytes")


def image_part(path: str, part: Any, request: Request) -> None:
    """OpenAI's ``image_url`` part: ``{"image_url": {"url": …, "detail": …}}``."""
    refuse_images(path, request)
    inner = part.get("image_url")
    json_object(f"{path}.image_url", inner)
    if inner.get("detail") is not None:
        detail(f"{path}.image_url.detail", inner["detail"])
    image_url(f"{path}.image_url.url", inner.get("url"), request)
