"""Push an image, and say it by digest: a tag may be another image tomorrow."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from pilotlight.deploy.image import builder as builders
from pilotlight.deploy.image import lazy
from pilotlight.deploy.image.builder import Builder
from pilotlight.deploy.image.built import Built, Layer
from pilotlight.deploy.image.command import captured, run
from pilotlight.deploy.image.request import ImageRequest
from pilotlight.deploy.image.settings import ImageOptions
from pilotlight.deploy.target import Report
from pilotlight.errors import ConfigError, DeployError

_HINT = "log in with the builder's own `login`, or set build.plain_http for one without TLS"


def refuse_ignored(builder: Builder, options: ImageOptions) -> None:
    """Raises ConfigError for what this builder's push can't be told."""
    if builder.name == "docker" and options.push is not None and options.compression != "gzip":
        raise ConfigError(
            f"build.compression is {options.compression!r}, and docker pushes gzip alone",
            hint="set build.builder to podman or buildah, or leave build.compression out",
        )


def push(
    builder: Builder, request: ImageRequest, built: Built, digest_file: Path, report: Report
) -> Built:
    options = request.options
    assert options.push is not None
    report(f"pushing {options.push}")
    said = ""
    for argv in builders.push(
        builder, built.id, options.push, str(digest_file),
        plain_http=options.plain_http, compression=options.compression,
    ):  # fmt: skip
        said = run(argv, what="pushing the image", hint=_HINT, hear=report)
    digest = (
        digest_file.read_text().strip() if digest_file.is_file() else builders.pushed_digest(said)
    )
    if not digest:
        raise DeployError("the builder pushed and named no digest", hint="try another builder")
    image = f"{repository(options.push)}@{digest}"
    notes = lazy.index(options.lazy, options.push, plain_http=options.plain_http, hear=report)
    return replace(
        built,
        image=image,
        digest=digest,
        layers=_as_sent(built.layers, image, options.plain_http),
        notes=(*built.notes, *notes),
    )


def repository(reference: str) -> str:
    """``host:5000/chat:1`` → ``host:5000/chat``: a colon before the last slash is a port."""
    head, slash, last = reference.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0].partition('@')[0]}"


def _as_sent(layers: tuple[Layer, ...], image: str, plain_http: bool) -> tuple[Layer, ...]:
    skopeo = shutil.which("skopeo")
    if skopeo is None:
        return layers
    try:
        said = captured(
            builders.manifest(skopeo, image, plain_http=plain_http), what="manifest", hint=""
        )
    except DeployError:  # pushed all the same; the sizes are for people
        return layers
    sizes = builders.sent_bytes(said)[-len(layers) :]
    if len(sizes) != len(layers):
        return layers
    return tuple(replace(one, sent_bytes=sent) for one, sent in zip(layers, sizes, strict=True))
