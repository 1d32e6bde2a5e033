"""What a release is made of in a cluster, and what each part is called."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pilotlight.config import model_entry, parse_tree
from pilotlight.deploy.kubernetes.images import EngineImage, find
from pilotlight.deploy.kubernetes.machines import Machine, pick
from pilotlight.deploy.kubernetes.options import KubernetesOptions, Tenant
from pilotlight.deploy.release import ModelSource, Release

KubernetesRelease = Release[KubernetesOptions]

LONGEST = 52
"""Of an engine's name: a pod's adds a dash, ten characters, a dash and five, and has 63 at most
where it is a host name too; a ReplicaSet's hash goes into a label of 63."""

RELEASE, MODEL = "pilotlight.dev/release", "pilotlight.dev/model"
COMPONENT = "app.kubernetes.io/component"
NAMESPACE_LABEL = "kubernetes.io/metadata.name"


def label_of(text: str) -> str:
    """Of a model's name, which may hold anything; a DNS label may not."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "model"


def shortened(name: str, longest: int = LONGEST) -> str:
    """Still telling one from another: names that are cut end in a hash of the whole."""
    if len(name) <= longest:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{name[: longest - 7].rstrip('-')}-{digest}"


@dataclass(frozen=True, slots=True)
class Engine:
    """One model's Deployment."""

    model: str
    """The served name."""

    name: str
    """Of its Deployment."""

    label: str
    entry: Mapping[str, Any]
    """The model's part of pilotlight.yaml."""

    image: EngineImage
    namespace: str
    tenant: str | None
    source: ModelSource

    @property
    def kind(self) -> str:
        return self.image.kind

    @property
    def options(self) -> Mapping[str, Any]:
        return self.entry.get("options") or {}

    @property
    def config(self) -> str:
        return f"{self.name}-config"


@dataclass(frozen=True)
class Layout:
    """Pure; every part of the rendering asks it for names and places."""

    release: KubernetesRelease

    @property
    def options(self) -> KubernetesOptions:
        return self.release.options

    @property
    def name(self) -> str:
        return self.release.name

    @property
    def home(self) -> str:
        """The gateway's namespace, and that of every model without a tenant."""
        return self.options.namespace or self.name

    @property
    def image(self) -> str:
        """Ours. Empty only for verbs that send nothing."""
        return self.release.image or ""

    @property
    def keys_secret(self) -> str:
        return f"{self.name}-keys"

    @property
    def engine_secret(self) -> str:
        """In each namespace with engines: what their callers must show, and its hash."""
        return f"{self.name}-engine-key"

    def lent_secret(self, tenant: str | None) -> str:
        """The gateway's own copy of what `tenant`'s engines ask for."""
        return self.engine_secret if tenant is None else f"{self.engine_secret}-{tenant}"

    def key_variable(self, tenant: str | None) -> str:
        """Not PILOTLIGHT_…: every such variable has to be a setting."""
        return "ENGINE_KEY" if tenant is None else f"ENGINE_KEY_{tenant.upper().replace('-', '_')}"

    @cached_property
    def tenants(self) -> Mapping[str, Tenant]:
        """Raises ConfigError: a tenant's keys or values are wrong."""
        where = "deploy.kubernetes.tenants"
        return {
            str(name): parse_tree(Tenant, given, f"{where}.{name}", "deploy")
            for name, given in self.options.tenants.items()
        }

    def namespace_of(self, tenant: str | None) -> str:
        return self.home if tenant is None else f"{self.home}-{tenant}"

    @cached_property
    def entries(self) -> Mapping[str, Mapping[str, Any]]:
        models = self.release.serve.get("models") or {}
        return {str(name): dict(model_entry(entry)) for name, entry in models.items()}

    @cached_property
    def engines(self) -> tuple[Engine, ...]:
        """Of every model that runs in pods; those elsewhere stay the gateway's own affair."""
        taken: set[str] = set()
        return tuple(self._engines(taken))

    def _engines(self, taken: set[str]) -> Iterator[Engine]:
        tenant_of = {model: name for name, t in self.tenants.items() for model in t.models}
        for model, entry in self.entries.items():
            if runs_elsewhere(entry):
                continue
            label = _distinct(shortened(label_of(model)), model, taken)
            tenant = tenant_of.get(model)
            image = find(str(entry.get("engine", "llamacpp")))
            yield Engine(
                model=model,
                name=shortened(f"{self.name}-{label}"),
                label=label,
                entry=entry,
                image=image,
                namespace=self.namespace_of(tenant),
                tenant=tenant,
                source=self._source(image),
            )

    def _source(self, image: EngineImage) -> ModelSource:
        """Nobody bakes weights into another project's image: those are fetched once a node."""
        if image.ours or self.options.models is not None:
            return self.release.models
        return "mount"

    def of(self, tenant: str | None) -> tuple[Engine, ...]:
        return tuple(engine for engine in self.engines if engine.tenant == tenant)

    @property
    def places(self) -> tuple[str | None, ...]:
        """Tenants with engines, None for the release's own namespace."""
        return tuple(dict.fromkeys(engine.tenant for engine in self.engines))

    @property
    def namespaces(self) -> tuple[str, ...]:
        return tuple(self.namespace_of(tenant) for tenant in (None, *self.tenants))

    @cached_property
    def machine(self) -> Machine | None:
        """What engines run on, where that is known; None leaves it to the scheduler."""
        size, options = self.release.size, self.options
        if options.gpu_labels != "gke" and options.machine is None:
            return None
        return pick(size, options.machine)

    def image_of(self, engine: Engine) -> str | None:
        """None: nobody publishes one that could be used, and none is named."""
        given = self.options.engine_images.get(engine.kind)
        ours = engine.image.ours and not engine.image.missing
        return str(given) if given else self.image if ours else engine.image.image

    def labels(self, component: str, model: str | None = None) -> dict[str, str]:
        own = {} if model is None else {MODEL: model}
        return {
            "app.kubernetes.io/name": "pilotlight",
            "app.kubernetes.io/instance": self.name,
            COMPONENT: component,
            RELEASE: self.name,
            **own,
        }

    def selector(self, component: str, model: str | None = None) -> dict[str, str]:
        own = {} if model is None else {MODEL: model}
        return {RELEASE: self.name, COMPONENT: component, **own}


def runs_elsewhere(entry: Mapping[str, Any]) -> bool:
    """Whether somebody else runs it already."""
    options = entry.get("options") or {}
    return entry.get("engine") in ("openai", "kubernetes") or "endpoint" in options


def _distinct(label: str, model: str, taken: set[str]) -> str:
    """Two models whose names differ in case or signs alone are still two."""
    if label in taken:
        digest = hashlib.sha256(model.encode()).hexdigest()[:6]
        label = f"{label[: LONGEST - 7]}-{digest}"
    taken.add(label)
    return label
