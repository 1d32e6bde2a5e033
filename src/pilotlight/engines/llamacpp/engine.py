"""What both llama.cpp programs share: everything but how one is launched and loaded."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from pilotlight.core import Capabilities, Footprint, ModelFiles, ModelRef, Operation
from pilotlight.engines.base import Adapter, EngineProcess, Launch, ModelJob, Seat
from pilotlight.engines.llamacpp import (
    adapter_clashes,
    adapter_fit,
    adapters,
    memory,
    prompts,
    refusals,
)
from pilotlight.engines.llamacpp.options import Options, complete
from pilotlight.engines.llamacpp.prompt_key import key_of
from pilotlight.engines.llamacpp.prompt_shelf import shelf_of
from pilotlight.engines.llamacpp.request_fields import PARAMETERS
from pilotlight.engines.llamacpp.sizing import Sizing, header_of, size
from pilotlight.errors import (
    EngineCrashedError,
    EngineMissingError,
    EngineOptionError,
    EngineStartError,
    PilotlightError,
    StoreError,
)
from pilotlight.machine import Machine
from pilotlight.store.gguf import GgufHeader

ENDPOINTS: Mapping[Operation, str] = {
    Operation.CHAT: "/v1/chat/completions",
    Operation.COMPLETIONS: "/v1/completions",
    Operation.EMBEDDINGS: "/v1/embeddings",
    Operation.MESSAGES: "/v1/messages",
    Operation.COUNT_TOKENS: "/v1/messages/count_tokens",
    Operation.TOKENIZE: "/tokenize",
    Operation.DETOKENIZE: "/detokenize",
    Operation.RERANK: "/v1/rerank",
}

_TOKENS = frozenset({Operation.TOKENIZE, Operation.DETOKENIZE})
_GENERATE = frozenset({
    # Not RESPONSES: its stream lacks fields that the official client insists on, and it
    # ignores text.format; carried by chat, both are right.
    Operation.CHAT, Operation.COMPLETIONS, Operation.MESSAGES,
    Operation.COUNT_TOKENS,
})  # fmt: skip
_THINKING = ("<think", "enable_thinking", "reasoning_content", "thinking")
_TASK_SHIFT = 32


class LlamacppEngine(ABC):
    """`engines.base.Engine`, but for the program. Subclasses set `build` and `standby`."""

    name = "llamacpp"
    build: str
    standby: bool

    def __init__(self, machine: Machine, offloads: Callable[[], bool]) -> None:
        """`offloads` tells whether the program can use this machine's GPUs; it may take a while."""
        self._machine = machine
        self._offloads = offloads

    def options(self, given: Mapping[str, Any]) -> Options:
        options = complete(given, self._machine)
        self.refuse(options)
        self._refuse_idle_gpus(options)
        return options

    def _refuse_idle_gpus(self, options: Options) -> None:
        """llama.cpp would only warn, and run on the CPU."""
        if options.gpu_layers in (None, "auto", 0) or not self._machine.gpus or self.offloads:
            return
        raise EngineOptionError(
            f"the option 'gpu_layers' is {options.gpu_layers!r}, but {self.build} can't use a GPU",
            hint="install a llama.cpp or an xllamacpp wheel that is built for it",
        )

    @abstractmethod
    def refuse(self, options: Options) -> None:
        """Raises EngineOptionError for an option this program can't do, by name."""

    @property
    def offloads(self) -> bool:
        return bool(self._machine.gpus) and self._offloads()

    def sizing(self, files: ModelFiles, options: Options) -> Sizing:
        return size(options, header_of(files.path))

    def launch_sizing(self, job: ModelJob) -> Sizing:
        """For a start, where an unreadable file is a failed start."""
        try:
            return self.sizing(job.files, job.options)
        except StoreError as error:
            raise EngineStartError(
                f"the model {job.name!r} can't be loaded", last_words=error.message, hint=error.hint
            ) from None

    def owns(self, ref: ModelRef) -> bool:
        return False

    def slots(self, options: Options) -> int:
        return options.parallel

    def context(self, files: ModelFiles, options: Options) -> int | None:
        return self.sizing(files, options).context

    def predict(self, files: ModelFiles, options: Options) -> Footprint:
        gpus = self._machine.gpus if self.offloads else ()
        return memory.predict(
            header_of(files.path),
            options,
            memory.Host(self.process_bytes, self._machine.instruction_sets, gpus),
        )

    process_bytes: int
    """What the program takes before any model."""

    def capabilities(self, files: ModelFiles, options: Options) -> Capabilities:
        header = header_of(files.path)
        sizing = size(options, header)
        template = _template(header, options) if sizing.generates else ""
        operations = _operations(sizing)
        return Capabilities(
            operations=operations,
            parameters={operation: PARAMETERS[operation] for operation in operations},
            sleep=self.standby,
            standby=self.standby,
            tools="tools" in template,
            vision=options.mmproj is not None and sizing.generates,
            lora=sizing.generates,
            thinking=options.reasoning != "off" and any(word in template for word in _THINKING),
        )

    def endpoint(self, operation: Operation) -> str:
        return ENDPOINTS[operation]

    @abstractmethod
    def command(self, seat: Seat, job: ModelJob | None) -> Launch: ...

    @abstractmethod
    async def load(self, process: EngineProcess, job: ModelJob) -> None: ...

    @abstractmethod
    async def unload(self, process: EngineProcess) -> None: ...

    def canary(self, job: ModelJob) -> tuple[str, bytes]:
        sizing = self.sizing(job.files, job.options)
        if sizing.ranks:
            pair = {"query": "Hi", "documents": ["Hi"]}
            return ENDPOINTS[Operation.RERANK], json.dumps(pair).encode()
        if not sizing.generates:
            return ENDPOINTS[Operation.EMBEDDINGS], json.dumps({"input": "Hi"}).encode()
        request = {"prompt": "Hi", "n_predict": 1, "cache_prompt": False, "temperature": 0}
        return "/completion", json.dumps(request).encode()

    async def progress(self, process: EngineProcess) -> int | None:
        """Grows with every task a slot takes and every token it reads or writes."""
        try:
            status, body = await process.client.fetch("/slots")
        except (TimeoutError, EngineCrashedError):
            return None
        return sum(_slot_progress(slot) for slot in json.loads(body)) if status == 200 else None

    def error(self, status: int, body: bytes) -> PilotlightError:
        return refusals.translate(status, body)

    def check_adapter(self, job: ModelJob, adapter: Adapter) -> None:
        adapter_clashes.check(job)
        adapter_fit.check(job, adapter)

    async def adapt(
        self, process: EngineProcess, loaded: ModelJob, wanted: ModelJob
    ) -> ModelJob | None:
        """Adapters come with a load alone; one too many does no harm, for nobody can name it."""
        there = all(adapter in loaded.adapters for adapter in wanted.adapters)
        return loaded if there else None

    def address(self, payload: bytes, job: ModelJob, adapter: str | None) -> bytes:
        return adapters.address(payload, job, adapter)

    async def recall(self, process: EngineProcess, job: ModelJob) -> int:
        shelf = shelf_of(job)
        if job.system_prompts is None or shelf is None:
            return 0
        sizing = self.sizing(job.files, job.options)
        prompts.check(job, sizing.generates)
        key = partial(key_of, job, build=self.build, sizing=sizing, offloads=self.offloads)
        recall = prompts.Recall(process, job, shelf, lambda tokens: key(tokens=tokens))
        return await recall.run(job.system_prompts.texts)


def _slot_progress(slot: Mapping[str, Any]) -> int:
    """A slot's counts start anew with each task; task numbers only grow, so they lead."""
    decoded = sum(item.get("n_decoded", 0) for item in slot.get("next_token", ()))
    tokens = int(slot.get("n_prompt_tokens_processed", 0)) + int(decoded)
    return ((int(slot.get("id_task", -1)) + 1) << _TASK_SHIFT) + tokens


def _operations(sizing: Sizing) -> frozenset[Operation]:
    if sizing.ranks:
        return _TOKENS | {Operation.RERANK}
    return (
        _TOKENS
        | (_GENERATE if sizing.generates else frozenset())
        | (frozenset({Operation.EMBEDDINGS}) if sizing.embeds else frozenset())
    )


def _template(header: GgufHeader, options: Options) -> str:
    if options.chat_template_file:
        return options.chat_template_file.read_text()
    return options.chat_template or header.chat_template or ""


def missing(program: str) -> EngineMissingError:
    return EngineMissingError(
        f"{program} is not installed",
        hint="pip install 'pilotlight[llamacpp]', or set engines.llamacpp.server to a llama-server",
    )
