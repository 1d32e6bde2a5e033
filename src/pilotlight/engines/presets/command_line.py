"""A preset and a model's options as words to run: pure, and held by golden tests."""

from __future__ import annotations

from collections.abc import Mapping

from pilotlight.engines.base import ModelJob, Seat
from pilotlight.engines.presets.kinds import filled
from pilotlight.engines.presets.options import Options
from pilotlight.engines.presets.preset import Preset


def argv(preset: Preset, seat: Seat, job: ModelJob) -> tuple[str, ...]:
    options: Options = job.options
    places = _places(seat, job)
    if options.command is not None:
        fixed = options.command
    else:
        fixed = (*(options.program or preset.program), *preset.arguments)
    told = tuple(word for name, flag in preset.flags.items() for word in _flag(options, name, flag))
    return tuple(filled(word, places) for word in (*fixed, *told, *options.args))


def _flag(options: Options, name: str, flag: str) -> tuple[str, ...]:
    value = getattr(options, name)
    return () if value is None else (flag, str(value))


def environment(preset: Preset, seat: Seat, job: ModelJob) -> Mapping[str, str]:
    """The only place where the secret goes."""
    places = {**_places(seat, job), "secret": seat.secret}
    wanted = {**preset.environment, **dict(job.options.environment)}
    return {name: filled(value, places) for name, value in wanted.items()}


def _places(seat: Seat, job: ModelJob) -> Mapping[str, str]:
    return {
        "model": model_of(job),
        "name": job.name,
        "port": str(seat.port),
        "directory": str(seat.directory),
    }


def model_of(job: ModelJob) -> str:
    """Where its bytes are here, or what the server itself knows it by."""
    own = job.files.ref.scheme == "openai"
    return job.files.ref.locator if own else str(job.files.path)
