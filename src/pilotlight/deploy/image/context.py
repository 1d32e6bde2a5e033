"""The build context: every folder that becomes a layer, filled and made reproducible."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from pilotlight import __version__
from pilotlight.deploy.image import baked, code, llamacpp, materials, packages, source, tree
from pilotlight.deploy.image.render import render
from pilotlight.deploy.image.request import ImageRequest
from pilotlight.deploy.image.settings import check, default_base
from pilotlight.deploy.image.spec import EPOCH_S, VOLUMES, BakedModel, Component, ImageSpec
from pilotlight.deploy.target import Report
from pilotlight.errors import DeployError
from pilotlight.store.store import Store


def assemble(request: ImageRequest, directory: Path, report: Report) -> ImageSpec:
    """Put everything that the image is made of into `directory`, which is empty or isn't there.

    Blocks while packages and models are fetched; neither a second time.

    Raises:
        ConfigError: an option is wrong, or the configuration.
        DeployError: something can't be had, or `directory` holds something.
        StoreError: a model can't be had, or isn't what its digest says.
    """
    check(request.options)
    if directory.exists() and any(directory.iterdir()):
        raise DeployError(
            f"{str(directory)!r} isn't empty", hint="name another directory, or empty it"
        )
    was_there = directory.exists()
    directory.mkdir(parents=True, exist_ok=True)
    try:
        return _filled(request, directory, report)
    except BaseException:
        _empty(directory)  # else the next try would find something in it
        if not was_there:
            directory.rmdir()
        raise


def _filled(request: ImageRequest, directory: Path, report: Report) -> ImageSpec:
    site = _stage_packages(request, directory, report)
    commit = _stage_engine(request, directory, report)
    models = _stage_models(request, directory, report)
    _stage_files(request, directory)
    code.stage(directory)
    spec = _spec(request, models, commit, tuple(_components(request, site, commit)))
    _write(spec, directory)
    for folder in directory.iterdir():
        if folder.is_dir():
            tree.settle(folder, spec.epoch_s)
    return spec


def _empty(directory: Path) -> None:
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _stage_packages(request: ImageRequest, directory: Path, report: Report) -> Path:
    report("collecting the Python packages")
    options = request.options
    more = [_read_requirements(path) for path in options.requirements]
    wanted = packages.requirements(request.engine, more)
    site = packages.stage(request.cache, _python(), request.architecture, wanted, hear=report)
    shutil.copytree(site, directory / "python", symlinks=True)
    return site


def _read_requirements(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError as error:
        raise DeployError(
            f"can't read build.requirements {path!r}: {error.strerror}", hint="correct the path"
        ) from None


def _stage_engine(request: ImageRequest, directory: Path, report: Report) -> str | None:
    options = request.options
    if options.engine != "native":
        return None
    if options.engine_directory is not None:
        return _copy_engine(options.engine_directory, directory / "engine")
    report("collecting llama.cpp's source")
    place = source.stage(request.cache, hear=report)
    shutil.copytree(place / "llama.cpp", directory / "source", symlinks=True)
    return source.commit(place)


def _copy_engine(compiled: Path, into: Path) -> str | None:
    if not (compiled / llamacpp.SERVER).is_file():
        raise DeployError(
            f"there is no {llamacpp.SERVER} in {str(compiled)!r}",
            hint="name the directory that holds it and its libraries, or leave "
            "build.engine_directory out to have it compiled in the build",
        )
    shutil.copytree(compiled, into, symlinks=True)
    return source.commit(compiled)


def _stage_models(request: ImageRequest, directory: Path, report: Report) -> tuple[BakedModel, ...]:
    if request.models != "image":
        return ()
    store = Store(request.data_dir / "store", request.store)
    wanted = baked.wanted(request.serve, request.store)
    for one in wanted:
        report(f"collecting the model {one.name}")
    resolved = asyncio.run(baked.resolve(store, wanted, None))
    return baked.stage(directory / "models", store, resolved, EPOCH_S)


def _stage_files(request: ImageRequest, directory: Path) -> None:
    """An empty folder, too: it is the directory that an instance starts in."""
    for name in VOLUMES:
        (directory / name).mkdir()
    root = directory / "files"
    root.mkdir()
    for given in request.options.files:
        place, _, name = given.partition(":")
        into = (root / (name or Path(place).name)).resolve()
        if not into.is_relative_to(root.resolve()) or into == root.resolve():
            raise DeployError(
                f"build.files {given!r} would lie outside of /app",
                hint="write SOURCE:NAME with a relative name",
            )
        if into.exists():
            raise DeployError(
                f"build.files {given!r} would lie over another of that name",
                hint="write SOURCE:NAME with a name of its own",
            )
        tree.copy(Path(place).expanduser(), into)


def _components(request: ImageRequest, site: Path, commit: str | None) -> Iterator[Component]:
    if request.options.engine == "native":
        yield materials.engine(commit)
    yield from materials.packages(site)


def _spec(
    request: ImageRequest,
    models: tuple[BakedModel, ...],
    commit: str | None,
    components: tuple[Component, ...],
) -> ImageSpec:
    options = request.options
    wheel = next((one.version for one in components if one.name == "xllamacpp"), None)
    return ImageSpec(
        name=request.name,
        tag=request.tag,
        base=options.base or default_base(),
        architecture=request.architecture,
        python=_python(),
        engine=request.engine,
        engine_version=(commit or llamacpp.version()) if options.engine == "native" else wheel,
        engine_commit=commit,
        compiles=options.engine == "native" and options.engine_directory is None,
        models=models,
        components=components,
        version=__version__,
        revision=options.revision or code.revision(),
        source=options.source,
        configuration=request.configuration,
    )


def _python() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def _write(spec: ImageSpec, directory: Path) -> None:
    for name, text in render(spec).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if "/bin/" in name:
            path.chmod(0o755)
