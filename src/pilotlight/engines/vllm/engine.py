"""vLLM as an engine: its own server in its own environment, one model once it has one."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from pilotlight.core import Capabilities, Footprint, ModelFiles, ModelRef, Operation
from pilotlight.engines.base import Adapter, EngineProcess, Launch, ModelJob, Seat
from pilotlight.engines.environments import Environment
from pilotlight.engines.vllm import (
    adapter_fit,
    adapter_names,
    adapters,
    failure,
    memory,
    progress,
    refusals,
    request_fields,
    sleeping,
)
from pilotlight.engines.vllm.directory import read
from pilotlight.engines.vllm.flags import flags
from pilotlight.engines.vllm.loaders import check_loader
from pilotlight.engines.vllm.options import PICKLED, Options, complete
from pilotlight.engines.vllm.sizing import Sizing, size
from pilotlight.engines.vllm.tasks import Task, scores, task_of
from pilotlight.engines.vllm.variables import CACHE, at_order, at_start, is_alone
from pilotlight.errors import (
    EngineCrashedError,
    EngineError,
    EngineStartError,
    ModelFormatError,
    PilotlightError,
    StoreError,
)
from pilotlight.machine import Machine
from pilotlight.store.checkpoint import Checkpoint

log = logging.getLogger(__name__)

HOST = Path(__file__).parent / "host.py"
READY_POLL_S = 0.05
PHASE_EVERY = 20
"""Looks at the door for each look at the log."""

ENDPOINTS: Mapping[Operation, str] = {
    Operation.CHAT: "/v1/chat/completions",
    Operation.COMPLETIONS: "/v1/completions",
    Operation.EMBEDDINGS: "/v1/embeddings",
    Operation.RERANK: "/v1/rerank",
    Operation.COUNT_TOKENS: "/v1/messages/count_tokens",
    # vLLM's own take and give other names than the gateway's clients know; see host.py.
    Operation.TOKENIZE: "/pilotlight/tokenize",
    Operation.DETOKENIZE: "/pilotlight/detokenize",
}
_TOKENS = frozenset({Operation.TOKENIZE, Operation.DETOKENIZE})
# Not RESPONSES and MESSAGES: carried by chat, every field is checked and honoured or refused.
_CHAT = frozenset({Operation.CHAT, Operation.COUNT_TOKENS})


class VllmEngine:
    """`engines.base.Engine`, and `Adapts`."""

    name = "vllm"
    parked_bytes = memory.PARKED_BYTES

    def __init__(self, environment: Environment, machine: Machine) -> None:
        self._environment = environment
        self._machine = machine
        self._gpu = environment.record.variant == "cuda"
        self._levels: WeakKeyDictionary[EngineProcess, int] = WeakKeyDictionary()
        self.build = f"vllm {environment.version} ({environment.record.variant})"

    def options(self, given: Mapping[str, Any]) -> Options:
        options = complete(given, self._machine, self._gpu)
        check_loader(options.load_format, self._environment.root, gpu=self._gpu)
        return options

    def owns(self, ref: ModelRef) -> bool:
        return False

    def slots(self, options: Options) -> int:
        return options.max_num_seqs

    def context(self, files: ModelFiles, options: Options) -> int | None:
        return self._sizing(read(files.path), options).context

    def _sizing(self, checkpoint: Checkpoint, options: Options) -> Sizing:
        return size(options, checkpoint, gpu=self._gpu)

    def predict(self, files: ModelFiles, options: Options) -> Footprint:
        checkpoint = read(files.path)
        sizing = self._sizing(checkpoint, options)
        return memory.predict(checkpoint, options, sizing, self._machine, gpu=self._gpu)

    def capabilities(self, files: ModelFiles, options: Options) -> Capabilities:
        checkpoint = read(files.path)
        operations = _operations(checkpoint, options)
        fields = request_fields.parameters(options, checkpoint)
        chats = Operation.CHAT in operations
        return Capabilities(
            operations=operations,
            parameters={each: fields.get(each, frozenset()) for each in operations},
            lacks=request_fields.LACKS,
            sleep=bool(options.sleep_level),
            standby=self._at_start(options) == self._at_start(self.options({})),
            tools=chats and options.tool_call_parser is not None,
            vision=chats and request_fields.is_multimodal(checkpoint),
            thinking=chats and options.reasoning_parser is not None,
            lora=options.enable_lora and Operation.COMPLETIONS in operations,
            stream_usage="asked",
        )

    def endpoint(self, operation: Operation) -> str:
        if operation not in ENDPOINTS:
            raise EngineError(f"vLLM is not asked for {operation.value!r} itself")
        return ENDPOINTS[operation]

    def command(self, seat: Seat, job: ModelJob | None) -> Launch:
        """The same host for a job and for a standby, but for what a job's options ask of its start.

        Without a job it has the variables of a model without options.
        """
        if job is not None:
            _checkpoint(job)  # what can't be loaded is said before anything is started
        environment = self._environment
        secrets = {"ENGINE_SOCKET": str(seat.socket), "VLLM_API_KEY": seat.secret}
        return Launch(
            argv=(str(environment.python), "-I", str(HOST)),
            seat=seat,
            env={**self._at_start(job.options if job else self.options({})), **secrets},
            channel=True,
        )

    def _at_start(self, options: Options) -> dict[str, str]:
        root = self._environment.root
        path = os.environ.get("PATH", os.defpath)
        return at_start(options, root.parent / CACHE, root / "bin", path, gpu=self._gpu)

    def order(self, job: ModelJob) -> dict[str, Any]:
        """What makes a host vLLM's server for `job`. Raises EngineStartError."""
        sizing = self._sizing(_checkpoint(job), job.options)
        return {
            "argv": [
                *("--model", str(job.files.path), "--served-model-name", job.name),
                *flags(job.options, sizing, gpu=self._gpu),
            ],
            "env": at_order(job.options, gpu=self._gpu),
            # With GPUs, a fork would count on nothing having touched them: vLLM spawns there.
            "grows": not self._gpu and is_alone(job.options),
        }

    async def load(self, process: EngineProcess, job: ModelJob) -> None:
        """Have the host load it, or an unloaded one wake; then watch until it is healthy."""
        if process not in self._levels:
            await self._send(process, job)
        self._levels[process] = job.options.sleep_level or 0
        told: str | None = None
        looks = 0
        while process.alive:
            if await _is_healthy(process):
                await self._wake(process, job.options)
                await self._dress(process, job)
                return
            if looks % PHASE_EVERY == 0:
                told = _tell(process, job.name, told)
            looks += 1
            await asyncio.sleep(READY_POLL_S)
        raise failure.start_error(process, job.name, f"the engine ended: {await process.wait()}")

    async def _send(self, process: EngineProcess, job: ModelJob) -> None:
        order = self.order(job)
        try:
            await process.send(order)
        except EngineStartError:
            how = f"the engine ended: {await process.wait()}"
            raise failure.start_error(process, job.name, how) from None

    async def _wake(self, process: EngineProcess, options: Options) -> None:
        if not options.sleep_level or not await sleeping.is_asleep(process.client):
            return
        try:
            await sleeping.wake(process.client, options.sleep_level)
            if options.enable_lora and options.sleep_level > 1:
                # With the weights went the adapters, and vLLM would read each from its file in
                # the middle of its first request: where that fails, the process ends.
                await adapters.drop(process.client)
        except (EngineError, TimeoutError) as error:
            raise EngineStartError("vLLM did not wake", last_words=str(error)) from None

    async def _dress(self, process: EngineProcess, job: ModelJob) -> None:
        if not job.options.enable_lora:
            return
        try:
            await adapters.exchange(process.client, job)
        except (EngineError, TimeoutError) as error:
            raise EngineStartError(
                f"the model {job.name!r} didn't get its adapters", last_words=str(error)
            ) from None

    async def unload(self, process: EngineProcess) -> None:
        await sleeping.sleep(process.client, self._levels.get(process, 1))

    def canary(self, job: ModelJob) -> tuple[str, bytes]:
        path, body = _CANARIES[task_of(read(job.files.path), job.options)]
        return path, json.dumps(body).encode()

    async def progress(self, process: EngineProcess) -> int | None:
        try:
            status, body = await process.client.fetch("/metrics")
        except (TimeoutError, EngineCrashedError):
            return None
        return progress.steps(body.decode()) if status == 200 else None

    def error(self, status: int, body: bytes) -> PilotlightError:
        return refusals.translate(status, body)

    def check_adapter(self, job: ModelJob, adapter: Adapter) -> None:
        adapter_fit.check(job, adapter, read(job.files.path))

    async def adapt(
        self, process: EngineProcess, loaded: ModelJob, wanted: ModelJob
    ) -> ModelJob | None:
        """What is unloaded still answers the requests that vLLM has of it."""
        if replace(loaded, adapters=wanted.adapters) != wanted:
            return None
        await adapters.exchange(process.client, wanted)
        return wanted

    def address(self, payload: bytes, job: ModelJob, adapter: str | None) -> bytes:
        return adapter_names.address(payload, job, adapter)


_CANARIES: Mapping[Task, tuple[str, Mapping[str, Any]]] = {
    Task.GENERATE: ("/v1/completions", {"prompt": "Hi", "max_tokens": 1, "temperature": 0}),
    Task.EMBED: ("/v1/embeddings", {"input": "Hi"}),
    Task.CLASSIFY: ("/classify", {"input": "Hi"}),
}


def _operations(checkpoint: Checkpoint, options: Options) -> frozenset[Operation]:
    task = task_of(checkpoint, options)
    found = _TOKENS
    if task is Task.GENERATE:
        found |= {Operation.COMPLETIONS}
        # Without a template vLLM refuses every chat.
        found |= _CHAT if checkpoint.chat_template or options.chat_template else frozenset()
    if task is Task.EMBED:
        found |= {Operation.EMBEDDINGS}
    return found | {Operation.RERANK} if scores(checkpoint, task) else found


def _checkpoint(job: ModelJob) -> Checkpoint:
    """For a start, where an unreadable model is a failed start."""
    try:
        checkpoint = read(job.files.path)
        _reject_pickled(job, checkpoint)
    except StoreError as error:
        raise EngineStartError(
            f"the model {job.name!r} can't be loaded", last_words=error.message, hint=error.hint
        ) from None
    return checkpoint


def _reject_pickled(job: ModelJob, checkpoint: Checkpoint) -> None:
    """Left to itself vLLM would fall back to them."""
    if checkpoint.is_pickled and job.options.load_format in (None, "auto"):
        raise ModelFormatError(
            f"{str(job.files.path)!r} has no safetensors",
            hint=f"take a release that has, or name its format in the option load_format "
            f"({' and '.join(PICKLED)} may run code of the file's)",
        )


async def _is_healthy(process: EngineProcess) -> bool:
    try:
        status, _ = await process.client.fetch("/health")
    except (EngineCrashedError, TimeoutError):
        return False
    return status == 200


def _tell(process: EngineProcess, name: str, told: str | None) -> str | None:
    now = progress.phase(process.last_words(50))
    if now is not None and now != told:
        log.info("%s on vLLM: %s", name, now)
    return now or told
