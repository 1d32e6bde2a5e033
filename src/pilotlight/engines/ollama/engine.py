"""One model of an Ollama server as a replica: loaded for as long as we want it, then freed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pilotlight.core import Capabilities, Footprint, ModelFiles, ModelRef, Operation
from pilotlight.engines.base import EngineProcess, Launch, ModelJob, Remote, Seat
from pilotlight.engines.ollama.library import Library, full_name
from pilotlight.engines.ollama.options import Options, complete
from pilotlight.engines.ollama.request_fields import LACKS, PARAMETERS
from pilotlight.engines.ollama.shown import Shown
from pilotlight.engines.openai import refusals
from pilotlight.engines.openai.heartbeat import Heartbeat
from pilotlight.errors import (
    ConfigError,
    EngineRefusedError,
    EngineStartError,
    EngineTimeoutError,
    PilotlightError,
    SourceError,
)
from pilotlight.store.progress import Progress, Reporter

ENDPOINTS: Mapping[Operation, str] = {
    Operation.CHAT: "/v1/chat/completions",
    Operation.COMPLETIONS: "/v1/completions",
    Operation.EMBEDDINGS: "/v1/embeddings",
}
FOR_EVER = -1
"""Ollama's own keep-alive would unload the model under us; ours decides, and the farewell frees."""

_BY_ABILITY: Mapping[str, frozenset[Operation]] = {
    "completion": frozenset({Operation.CHAT, Operation.COMPLETIONS}),
    "embedding": frozenset({Operation.EMBEDDINGS}),
}


class OllamaEngine:
    """`engines.base.Engine` and `engines.base.Library`."""

    name = "ollama"
    build = "ollama"

    def __init__(self, directory: Path) -> None:
        """`directory` keeps what servers said of their models."""
        self._directory = directory
        self._heartbeat = Heartbeat()

    def options(self, given: Mapping[str, Any]) -> Options:
        return complete(given)

    def owns(self, ref: ModelRef) -> bool:
        """Raises ConfigError for bytes of our own: that server has its own."""
        if ref.scheme != "ollama":
            raise ConfigError(
                f"the engine ollama can't run {str(ref)!r}: its server has its own models",
                hint="write ref: ollama:NAME, or serve these bytes with the engine llamacpp",
            )
        return True

    async def fetch(
        self, ref: ModelRef, options: Options, report: Callable[[Progress], None] | None
    ) -> ModelFiles:
        """Raises SourceError, EngineUnreachableError."""
        library = _library(options)
        name = full_name(ref.locator)
        reporter = Reporter(ref, report)
        listed = {model.name: model for model in await library.models()}
        if name not in listed:
            if not options.pull:
                raise _absent(name, options.host, list(listed))
            await library.pull(name, reporter)
            listed = {model.name: model for model in await library.models()}
        path = self._file(options.host, name)
        (await library.show(name)).write(path)
        model = listed.get(name)
        size_bytes, digest = (model.size_bytes, model.digest) if model else (0, None)
        return ModelFiles(ref, path, size_bytes, digest)

    def _file(self, host: str, name: str) -> Path:
        digest = hashlib.sha256(f"{host} {name}".encode()).hexdigest()[:16]
        stem = re.sub(r"[^A-Za-z0-9._-]", "-", name)
        return self._directory / f"{stem}-{digest}.json"

    def slots(self, options: Options) -> int:
        return options.parallel

    def context(self, files: ModelFiles, options: Options) -> int | None:
        return options.context or Shown.read(files.path).num_ctx

    def predict(self, files: ModelFiles, options: Options) -> Footprint:
        """At least its weights, where the server is on this machine; else nothing of ours."""
        if not _remote(options).here:
            return Footprint(0)
        weights = files.size_bytes
        return Footprint(weights, source="engine", parts={"weights": weights})

    def capabilities(self, files: ModelFiles, options: Options) -> Capabilities:
        abilities = Shown.read(files.path).abilities
        operations = frozenset[Operation]().union(*(_BY_ABILITY.get(a, ()) for a in abilities))
        return Capabilities(
            stream_usage="asked",
            operations=operations,
            parameters={operation: PARAMETERS[operation] for operation in operations},
            lacks={op: fields for op, fields in LACKS.items() if op in operations},
            tools="tools" in abilities,
            vision="vision" in abilities,
            thinking="thinking" in abilities,
            model=full_name(files.ref.locator),
        )

    def endpoint(self, operation: Operation) -> str:
        return ENDPOINTS[operation]

    def command(self, seat: Seat, job: ModelJob | None) -> Launch:
        if job is None:
            raise EngineStartError(
                "an Ollama server needs no standby", hint="set the model's standby to 0"
            )
        remote = _remote(job.options, farewell=_lifetime(job, 0))
        return Launch(argv=(), seat=seat, remote=remote)

    async def load(self, process: EngineProcess, job: ModelJob) -> None:
        """Raises EngineStartError with the server's words, EngineUnreachableError."""
        options: Options = job.options
        await self._heartbeat.first(process, "/api/version", options.timeout)
        path, body = _lifetime(job, FOR_EVER)
        status, answer = await _ask(process, path, body, options)
        if status != 200:
            raise _not_loaded(job, status, answer)
        await self._check_context(process, job)

    async def _check_context(self, process: EngineProcess, job: ModelJob) -> None:
        """A promise that the server doesn't keep would cut prompts off in silence."""
        options: Options = job.options
        if options.context is None:
            return
        status, answer = await _ask(process, "/api/ps", None, options)
        name = full_name(job.files.ref.locator)
        actual = _context_of(name, answer) if status == 200 else None
        if isinstance(actual, int) and 0 < actual < options.context:
            raise EngineStartError(
                f"the Ollama server runs {name!r} with a context of {actual}, and the option "
                f"context promises {options.context}",
                hint="set OLLAMA_CONTEXT_LENGTH over there, or num_ctx in its model file, "
                "or lower the option",
            )

    async def unload(self, process: EngineProcess) -> None:
        raise EngineStartError(
            "an Ollama model is let go, not put to sleep", hint="lower the model's keep_alive"
        )

    def canary(self, job: ModelJob) -> tuple[str, bytes]:
        name = full_name(job.files.ref.locator)
        if not _generates(job):
            return ENDPOINTS[Operation.EMBEDDINGS], _json({"model": name, "input": "Hi"})
        prompt = {"model": name, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
        return ENDPOINTS[Operation.CHAT], _json(prompt)

    async def progress(self, process: EngineProcess) -> int | None:
        """Of its work nothing is known but the bytes; only whether it is still there."""
        return await self._heartbeat.next(process)

    def error(self, status: int, body: bytes) -> PilotlightError:
        if status == 404:
            return EngineRefusedError(
                f"the Ollama server doesn't have the model any more: {_said(body)}",
                hint="pull it there again with `ollama pull`",
            )
        return refusals.translate(status, body)


def _library(options: Options) -> Library:
    return Library(options.host, options.timeout, through_proxies=not _remote(options).here)


def _remote(options: Options, farewell: tuple[str, bytes] | None = None) -> Remote:
    return Remote(options.host, timeout_s=options.timeout, farewell=farewell)


def _generates(job: ModelJob) -> bool:
    return "completion" in Shown.read(job.files.path).abilities


def _lifetime(job: ModelJob, keep_alive_s: int) -> tuple[str, bytes]:
    """The empty request that only loads a model, or with 0 lets it go."""
    name = full_name(job.files.ref.locator)
    about = {"model": name, "keep_alive": keep_alive_s}
    if _generates(job):
        return "/api/generate", _json({**about, "stream": False})
    return "/api/embed", _json({**about, "input": ""})


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()


async def _ask(
    process: EngineProcess, path: str, body: bytes | None, options: Options
) -> tuple[int, bytes]:
    try:
        # Its client waits for each byte so long; this is for one that gives them one by one.
        return await process.client.fetch(path, body, timeout_s=2 * options.timeout)
    except TimeoutError:
        raise EngineTimeoutError(
            f"the Ollama server at {options.host} did not come to the end of its answer to {path}",
            hint="ask again later, or raise the model's option timeout",
        ) from None


def _context_of(name: str, answer: bytes) -> Any:
    """What the server runs `name` with; None from one too old to say."""
    try:
        running = json.loads(answer).get("models") or ()
        found = [m.get("context_length") for m in running if full_name(str(m.get("name"))) == name]
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise EngineStartError(
            f"the Ollama server can't say with what context it runs {name!r}",
            last_words=_said(answer),
            hint="is the option host the address of an Ollama server?",
        ) from None
    return found[0] if found else None


def _said(body: bytes) -> str:
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return body[:300].decode(errors="replace")
    return str(error.get("message") if isinstance(error, dict) else error)[:300]


def _not_loaded(job: ModelJob, status: int, body: bytes) -> EngineStartError:
    hints = {404: f"run `ollama pull {full_name(job.files.ref.locator)}` over there"}
    return EngineStartError(
        f"the Ollama server did not load {job.name!r} and answers {status}",
        last_words=_said(body),
        hint=hints.get(status, "its log says more; has it the memory?"),
    )


def _absent(name: str, host: str, listed: list[str]) -> SourceError:
    return SourceError(
        f"the Ollama server at {host} has no model {name!r}, and the option pull is off",
        hint=f"run `ollama pull {name}` there; it has {', '.join(sorted(listed)) or 'none'}",
    )
