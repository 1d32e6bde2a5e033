"""What `pilotlight deploy image` asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from pilotlight.catalog.platform import CpuArchitecture, Platform
from pilotlight.config import StoreSettings
from pilotlight.deploy.image.settings import ImageOptions
from pilotlight.deploy.image.spec import EngineKind
from pilotlight.deploy.release import ModelSource
from pilotlight.deploy.size import Size


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRequest:
    name: str
    """The deployment's; the image is remembered by it."""

    serve: Mapping[str, Any]
    """The content of pilotlight.yaml whose models the instances serve."""

    configuration: str
    """Text of the pilotlight.yaml that lies in the image (`deploy.instance_file`)."""

    models: ModelSource = "image"
    options: ImageOptions = field(default_factory=ImageOptions)
    platforms: tuple[Platform, ...] = ()
    """Rows of the catalog for which the ways to the weights are weighed, in seconds and dollars."""

    size: Size | None = None
    """Of an instance, for the same; without it nothing is weighed."""

    data_dir: Path
    store: StoreSettings = field(default_factory=StoreSettings)

    @property
    def engine(self) -> EngineKind:
        return cast("EngineKind", self.options.engine)  # settings.check has seen it

    @property
    def architecture(self) -> CpuArchitecture:
        return cast("CpuArchitecture", self.options.architecture)

    @property
    def tag(self) -> str:
        return self.options.tag or f"localhost/pilotlight/{self.name}:latest"

    @property
    def cache(self) -> Path:
        """What a later build of the same needs not fetch again."""
        return self.data_dir / "deploy" / "parts"
