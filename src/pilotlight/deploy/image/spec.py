"""What an image holds, as plain data: the same spec renders the same bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pilotlight.catalog.platform import CpuArchitecture

EngineKind = Literal["native", "wheel", "none"]

USER = 10001
"""uid and gid; no such user is in /etc/passwd, and nothing needs one."""

EPOCH_S = 946_684_800
"""1 January 2000: the time of every file in it. Layers that hold the same are then the same."""

PYTHON_AT = "/opt/pilotlight/python"
APP_AT = "/opt/pilotlight/app"
MATERIALS_AT = "/opt/pilotlight/materials"
LIBRARIES_AT = "/opt/pilotlight/lib"
ENGINE_AT = "/opt/llama.cpp"
MODELS_AT = "/models"
FILES_AT = "/app"
CODE = ("measuring", "tools", "keeping", "engines", "serving")
"""Layers of our own code; which part is in which is told in `deploy.image.code`."""

VOLUMES = ("data", "cache")
"""Folders at the root that a platform may mount something at that an instance writes to."""

CONFIGURATION_AT = "/etc/pilotlight"


@dataclass(frozen=True, slots=True, kw_only=True)
class BakedModel:
    """A model or an adapter whose bytes lie in the image, in a store at /models."""

    name: str
    ref: str
    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """Something of somebody else's in it; for the bill of materials."""

    kind: Literal["library", "application", "machine-learning-model"]
    name: str
    version: str
    licence: str | None = None
    """An SPDX expression, or the words of its author; None where it says nothing."""

    is_expression: bool = False
    purl: str | None = None
    sha256: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpec:
    name: str
    tag: str
    base: str
    architecture: CpuArchitecture = "x86_64"
    python: str
    """Major and minor, of the packages and of the compiled code in it."""

    engine: EngineKind
    engine_version: str | None
    """Of the llama.cpp inside; None without one."""

    engine_commit: str | None = None
    """llama.cpp's own, where its source says it."""

    compiles: bool
    """Whether llama.cpp is compiled in a stage of the build, or lies in the context."""

    models: tuple[BakedModel, ...] = ()
    components: tuple[Component, ...] = ()
    version: str
    revision: str | None = None
    source: str | None = None
    """Where the source can be had, for the label."""

    configuration: str
    """The pilotlight.yaml it runs unless a platform mounts another."""

    epoch_s: int = EPOCH_S

    @property
    def layers(self) -> tuple[str, ...]:
        """Folders of the context that become a layer each: the rarely changed first."""
        engine = {"native": ("engine",), "wheel": ("libraries",), "none": ()}[self.engine]
        models = ("models",) if self.models else ()
        ours = (*CODE, "materials", "configuration")
        return (*VOLUMES, *engine, "python", *models, "files", *ours)
