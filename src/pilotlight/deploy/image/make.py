"""From a request to an image that was tried: assemble, build, try, push, index, remember."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from pilotlight.deploy.image import builder as builders
from pilotlight.deploy.image import tree
from pilotlight.deploy.image.builder import Builder
from pilotlight.deploy.image.built import Built, Layer
from pilotlight.deploy.image.command import captured, run
from pilotlight.deploy.image.context import assemble
from pilotlight.deploy.image.pushing import push, refuse_ignored, repository
from pilotlight.deploy.image.remembered import remember
from pilotlight.deploy.image.request import ImageRequest
from pilotlight.deploy.image.settings import check
from pilotlight.deploy.image.spec import ImageSpec
from pilotlight.deploy.image.trial import own_architecture, proved
from pilotlight.deploy.image.weighing import weighed
from pilotlight.deploy.target import Report
from pilotlight.errors import DeployError

_BUILD_HINT = "see the builder's words above; with --out the whole context stays to look at"
_FOREIGN_HINT = (
    "its stages run programs of {}, which takes emulation here (Debian, Ubuntu: apt install "
    "qemu-user-static), or build it on such a machine"
)


def make(request: ImageRequest, report: Report) -> Built:
    """Build the image; nothing but it, and the builder's own cache, stays behind.

    Raises:
        ConfigError: an option is wrong, or there is no builder.
        DeployError: a step failed, with the words of the program that did it.
        StoreError: a model can't be had.
    """
    check(request.options)
    builder = builders.choose(request.options.builder, builders.found())
    refuse_ignored(builder, request.options)
    (request.data_dir / "deploy").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=request.data_dir / "deploy", prefix="image-") as work:
        context = Path(work) / "context"
        spec = assemble(request, context, report)
        report(f"building {spec.tag} with {builder.name}")
        id = _build(builder, spec, context, Path(work) / "id", report)
        layers = _layers(builder, spec, context, id)
        notes = proved(builder, spec, id, report)
        run(
            builders.tag(builder, id, spec.tag),
            what="naming the image",
            hint="choose another name with build.tag",
        )
        built = Built(
            image=spec.tag, id=id, digest=None, base=_base(builder, spec), layers=layers,
            notes=(*_advice(spec, builder), *notes, *weighed(request, layers)),
        )  # fmt: skip
        if request.options.push is not None:
            built = push(builder, request, built, Path(work) / "digest", report)
    remember(request.data_dir, request.name, built.image, built.id)
    return built


def _build(builder: Builder, spec: ImageSpec, context: Path, id_file: Path, report: Report) -> str:
    argv = builders.build(builder, spec, str(context), str(id_file))
    foreign = spec.architecture != own_architecture()
    hint = _FOREIGN_HINT.format(spec.architecture) if foreign else _BUILD_HINT
    run(
        argv,
        what="building the image",
        hint=hint,
        hear=report,
        environ=builders.environ(builder),
    )
    return id_file.read_text().strip()


def _layers(builder: Builder, spec: ImageSpec, context: Path, id: str) -> tuple[Layer, ...]:
    said = captured(builders.inspect(builder, id), what="looking at the image", hint=_BUILD_HINT)
    digests = builders.inspected_layers(builder, said)[-len(spec.layers) :]
    return tuple(
        Layer(purpose=folder, digest=digest, size_bytes=_size(context / folder))
        for folder, digest in zip(spec.layers, digests, strict=True)
    )


def _size(folder: Path) -> int | None:
    return tree.size_bytes(folder) if folder.is_dir() else None


def _base(builder: Builder, spec: ImageSpec) -> str:
    """The base as it was taken, by its digest where it has one."""
    if "@" in spec.base:
        return spec.base
    try:
        said = captured(builders.inspect(builder, spec.base), what="looking at the base", hint="")
    except DeployError:  # a builder that keeps no copy of it
        return spec.base
    digest = builders.inspected_digest(builder, said)
    # Without the tag: podman takes a reference by a tag or by a digest, and not by both.
    return f"{repository(spec.base)}@{digest}" if digest else spec.base


def _advice(spec: ImageSpec, builder: Builder) -> Iterator[str]:
    base = _base(builder, spec)
    if "@" not in spec.base and "@" in base:
        yield f"the base was given by a tag; for the same bytes again: --base {base}"
