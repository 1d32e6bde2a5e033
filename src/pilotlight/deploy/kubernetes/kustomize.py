"""The documents as a kustomize base and the overlay of this release.

The base is what every deployment of these models has; the overlay is whose it is, how much of it
there may be, who may ask, and which image exactly. A second environment is a second overlay.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pilotlight.deploy.kubernetes.document import Document, commented, dumped, stream
from pilotlight.deploy.kubernetes.layout import Layout

OVERLAY_GROUPS = ("namespace", "quota", "keys")
IMAGE = "pilotlight"
"""What the base calls the image that an overlay chooses."""


def files(layout: Layout, documents: Sequence[Document]) -> Iterator[tuple[str, str]]:
    base = [each for each in documents if each.group not in OVERLAY_GROUPS]
    own = [each for each in documents if each.group in OVERLAY_GROUPS]
    yield from _folder("kustomize/base", [_unnamed(each, layout.image) for each in base], _BASE, {})
    here = f"kustomize/overlays/{layout.name}"
    changes: dict[str, Any] = {"images": [_image(layout.image)]}
    yield from _folder(here, own, _OVERLAY, changes, first=("../../base",))


_BASE = """\
What is the same everywhere. Applied through an overlay, which names the image."""

_OVERLAY = """\
This deployment. For another one, copy this folder: another image, other keys, another quota.
To change one field of the base, add a patch, as in
  patches:
    - target: {kind: Deployment, labelSelector: pilotlight.dev/model=NAME}
      patch: '[{"op": "replace", "path": "/spec/replicas", "value": 1}]'"""


def _folder(
    folder: str,
    documents: Sequence[Document],
    why: str,
    changes: dict[str, Any],
    first: Iterable[str] = (),
) -> Iterator[tuple[str, str]]:
    groups = list(dict.fromkeys(each.group for each in documents))
    body = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [*first, *(f"{group}.yaml" for group in groups)],
        **changes,
    }
    yield f"{folder}/kustomization.yaml", commented(why, dumped(body))
    for group in groups:
        inside = [each for each in documents if each.group == group]
        yield f"{folder}/{group}.yaml", stream(inside)


def _unnamed(document: Document, image: str) -> Document:
    return Document(document.group, document.why, _replaced(document.body, image))


def _replaced(value: Any, image: str) -> Any:
    if isinstance(value, dict):
        return {
            key: IMAGE if key == "image" and inner == image else _replaced(inner, image)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_replaced(inner, image) for inner in value]
    return copy.copy(value)


def _image(image: str) -> dict[str, str]:
    name, at, digest = image.partition("@")
    if at:
        # With both a tag and a digest the digest is what counts.
        return {"name": IMAGE, "newName": _without_tag(name), "digest": digest}
    bare = _without_tag(image)
    tag = image[len(bare) + 1 :]
    return {"name": IMAGE, "newName": bare, **({"newTag": tag} if tag else {})}


def _without_tag(image: str) -> str:
    """A colon before the last slash is a registry's port."""
    folder, slash, last = image.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}"
