"""The bill of materials: what is in an image, whence and under which licence (CycloneDX 1.5)."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from pilotlight.deploy.image import llamacpp
from pilotlight.deploy.image.spec import BakedModel, Component, ImageSpec
from pilotlight.store.sources.wheels import normalized

LICENCE = "Apache-2.0"
_CLASSIFIER = "License :: "
_LINE_LENGTH = 80


def bill(spec: ImageSpec) -> dict[str, Any]:
    """Without a time and a serial number: the same image has the same bill.

    What the base brings is the base's own bill, which is found by its name and digest.
    """
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "container",
                "bom-ref": f"pilotlight@{spec.version}",
                "name": spec.name,
                "version": spec.version,
                "licenses": [{"license": {"id": LICENCE}}],
            }
        },
        "components": [
            {"type": "container", "bom-ref": "base", "name": spec.base},
            *(_component(one) for one in spec.components),
            *(_component(_model(one)) for one in spec.models),
        ],
    }


def _component(one: Component) -> dict[str, Any]:
    return {
        "type": one.kind,
        "bom-ref": one.purl or f"{one.name}@{one.version}",
        "name": one.name,
        "version": one.version,
        **({"purl": one.purl} if one.purl else {}),
        **({"licenses": [_licence(one)]} if one.licence else {}),
        **({"hashes": [{"alg": "SHA-256", "content": one.sha256}]} if one.sha256 else {}),
        **({"externalReferences": [{"type": "website", "url": one.url}]} if one.url else {}),
    }


def _licence(one: Component) -> dict[str, Any]:
    if one.is_expression:
        return {"expression": one.licence}
    return {"license": {"name": one.licence}}


def _model(one: BakedModel) -> Component:
    return Component(
        kind="machine-learning-model",
        name=one.ref,
        version=one.digest,
        sha256=one.digest.removeprefix("sha256:"),
    )


def engine(commit: str | None) -> Component:
    """llama.cpp, by the source distribution that it is compiled from."""
    version = llamacpp.version()
    return Component(
        kind="application",
        name="llama.cpp",
        version=commit or f"{llamacpp.PACKAGE} {version}",
        licence="MIT",
        is_expression=True,
        purl=f"pkg:pypi/{llamacpp.PACKAGE}@{version}",
        sha256=llamacpp.source_sha256(),
        url="https://github.com/ggml-org/llama.cpp",
    )


def packages(site: Path) -> Iterator[Component]:
    """Every package that is installed in `site`, by its own metadata."""
    for path in sorted(site.glob("*.dist-info/METADATA")):
        said = HeaderParser().parsestr(path.read_text(errors="replace"))
        name, version = str(said["Name"]), str(said["Version"])
        licence, is_expression = licence_of(said)
        yield Component(
            kind="library",
            name=name,
            version=version,
            licence=licence,
            is_expression=is_expression,
            purl=f"pkg:pypi/{normalized(name)}@{version}",
        )


def licence_of(said: Message) -> tuple[str | None, bool]:
    """What a package says, and whether that is an SPDX expression; older ones have but words."""
    if expression := said["License-Expression"]:
        return str(expression), True
    words = [
        value.rpartition(" :: ")[2]
        for value in said.get_all("Classifier", [])
        if value.startswith(_CLASSIFIER) and value.count(" :: ") > 1
    ]
    if words:
        return " or ".join(words), False
    text = str(said["License"] or "").strip()
    is_name = bool(text) and "\n" not in text and len(text) <= _LINE_LENGTH
    return (text if is_name else None), False
