"""Whether an adapter fits over a model, from the headers of both.

vLLM's own checks come with the load, and are few: it looks at the last part of a
module's name and copies whatever shape is narrow enough, so that a layer the model
doesn't have is passed over without a word (`LoRAModelManager.activate_adapter`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pilotlight.engines.base import Adapter, ModelJob
from pilotlight.engines.vllm.adaptable import WITHOUT_ADAPTERS, adapts
from pilotlight.engines.vllm.adapter_features import PLAIN, unknown_to_vllm
from pilotlight.engines.vllm.options import DEFAULT_LORA_RANK, LORA_RANKS, Options
from pilotlight.engines.vllm.request_fields import is_multimodal
from pilotlight.engines.vllm.tasks import Task, task_of
from pilotlight.engines.vllm.weights import tells_extents, tensors_of
from pilotlight.errors import AdapterError, StoreError
from pilotlight.store.checkpoint import Checkpoint
from pilotlight.store.peft import PICKLED, WEIGHTS, PeftAdapter, read_adapter
from pilotlight.store.safetensors import TensorHeader

_OTHER = "take an adapter that was trained on this very model"
_PREFIX = "base_model.model."
_HALF = re.compile(
    r"(?P<module>.+)\.(?:lora_(?P<linear>[AB])\.weight|lora_embedding_(?P<table>[AB]))"
)
_WHOLE_TABLE = (".embed_tokens.base_layer.weight", ".lm_head.base_layer.weight")
"""What PEFT saves along with a table's adapter, and vLLM passes over."""

_WRAPPERS = frozenset({"model", "language_model", "text_model"})
"""Parts that each release of transformers puts elsewhere in the names of models that see."""

_BARE = frozenset({"layers", "embed_tokens", "norm"})

_EYES = frozenset({
    "visual", "vision_tower", "vision_model", "vision_encoder", "audio_tower", "merger",
    "multi_modal_projector", "mm_projector", "connector", "aligner",
})  # fmt: skip
"""Needs enable_tower_connector_lora, an experiment; without it vLLM passes over such layers."""


class _Misfit(AdapterError):
    """Before anybody has said which adapter of which model it is."""


def check(job: ModelJob, adapter: Adapter, checkpoint: Checkpoint) -> None:
    """Raises AdapterError where vLLM would refuse it, or run it as something else than it is."""
    try:
        _check_model(job.options, checkpoint)
        lora = read_adapter(_directory(adapter.files.path))
        _check_features(lora)
        _check_rank(lora, job.options)
        _check_tensors(lora, checkpoint)
    except (_Misfit, StoreError) as fault:
        said = f"adapter {adapter.name!r} can't be laid over {job.name!r}: {fault.message}"
        raise AdapterError(said, hint=fault.hint) from None


def _check_model(options: Options, checkpoint: Checkpoint) -> None:
    if not options.enable_lora:
        raise _Misfit(
            "vLLM makes room for adapters only where it is told so",
            hint="set the model's option enable_lora: true",
        )
    if task_of(checkpoint, options) is not Task.GENERATE:
        raise _Misfit("the model generates no text", hint="adapters are for chat and completions")
    if checkpoint.architecture in WITHOUT_ADAPTERS:
        raise _Misfit(
            f"vLLM lays none over a {checkpoint.architecture}", hint="merge it into the model"
        )


def _directory(path: Path) -> Path:
    """What adapters come as otherwise says where the directory is."""
    if path.is_dir():
        return path
    if path.name in (WEIGHTS, *PICKLED):
        raise _Misfit(f"{str(path)!r} is one file of a PEFT directory", hint=f"give {path.parent}")
    kind = "GGUF file" if path.suffix == ".gguf" else "file"
    raise _Misfit(
        f"{str(path)!r} is a {kind}, and vLLM loads the directory that PEFT saved",
        hint="give that directory, or run the model with llamacpp, which takes the GGUF",
    )


def _check_features(lora: PeftAdapter) -> None:
    for name, value, hint in unknown_to_vllm(lora.config):
        raise _Misfit(f"its {name} is {value!r}, which vLLM doesn't do", hint=hint)


def _check_rank(lora: PeftAdapter, options: Options) -> None:
    limit, rank = options.max_lora_rank or DEFAULT_LORA_RANK, lora.highest_rank
    if rank <= limit:
        return
    enough = next((each for each in LORA_RANKS if each >= rank), None)
    raise _Misfit(
        f"its rank is {rank}, and the model has room for {limit}",
        hint=f"set the model's option max_lora_rank: {enough}"
        if enough
        else f"vLLM takes no rank over {LORA_RANKS[-1]}: train it with less",
    )


@dataclass(slots=True)
class _Pair:
    """What is added to one module's weight: `a` brings its input to the rank, `b` back up."""

    module: str
    is_table: bool
    halves: dict[str, TensorHeader] = field(default_factory=dict)

    def half(self, side: str) -> TensorHeader:
        found = self.halves.get(side)
        if found is None:
            raise _Misfit(f"{self.module!r} has no {side} half", hint="fetch the adapter again")
        if len(found.shape) != 2:
            raise _Misfit(
                f"the {side} half of {self.module!r} has the shape {found.shape}, expected two "
                "extents",
                hint=PLAIN,
            )
        return found


def _check_tensors(lora: PeftAdapter, checkpoint: Checkpoint) -> None:
    model = _Model(checkpoint)
    pairs = _pairs(lora, model)
    if not pairs:
        raise _Misfit("it has no LoRA tensors", hint="fetch the adapter again")
    for pair in pairs:
        _check_ranks(pair, lora)
        _check_module(pair, model)


def _pairs(lora: PeftAdapter, model: _Model) -> Iterable[_Pair]:
    found: dict[str, _Pair] = {}
    for name, tensor in lora.tensors.items():
        if name.endswith(_WHOLE_TABLE):
            _check_whole_table(name, tensor, model)
            continue
        half = _HALF.fullmatch(name.removeprefix(_PREFIX))
        if half is None:
            raise _Misfit(f"its tensor {name!r} is half of no LoRA pair", hint=PLAIN)
        pair = found.setdefault(half["module"], _Pair(half["module"], bool(half["table"])))
        pair.halves[half["linear"] or half["table"]] = tensor
    return found.values()


def _check_ranks(pair: _Pair, lora: PeftAdapter) -> None:
    down, up = pair.half("A").shape[0], pair.half("B").shape[1]
    stated = lora.rank_of(pair.module)
    experts = pair.module.removesuffix(".base_layer").endswith(".experts")
    if experts and down == up:  # each expert's ranks one after another
        return
    if (down, up) != (stated, stated):
        raise _Misfit(
            f"the halves for {pair.module!r} have the ranks {down} and {up}, and its "
            f"configuration says {stated}",
            hint="fetch the adapter again, configuration and tensors together",
        )


def _check_module(pair: _Pair, model: _Model) -> None:
    _check_is_adapted(pair.module, model)
    weight = model.weight(pair.module)
    if weight is None:
        if model.is_known and not model.has(pair.module):
            raise _Misfit(
                f"it changes {pair.module!r}, and the model has none", hint=model.hint(pair.module)
            )
        return
    made_for = (pair.half("B").shape[0], pair.half("A").shape[1])
    if made_for != (weight.shape[::-1] if pair.is_table else weight.shape):
        raise _Misfit(
            f"{pair.module!r} is {_shown(weight.shape)} in the model, and the adapter's is for "
            f"{_shown(made_for[::-1] if pair.is_table else made_for)}",
            hint=_OTHER,
        )


def _check_is_adapted(module: str, model: _Model) -> None:
    parts = module.split(".")
    if not adapts(model.architecture, parts[-1]):
        raise _Misfit(
            f"it changes {parts[-1]!r}, which vLLM can't in a {model.architecture}",
            hint="take an adapter that leaves the vocabulary's tables alone",
        )
    if model.sees and not _EYES.isdisjoint(parts):
        raise _Misfit(
            f"it changes {module!r}, and vLLM adapts what reads text alone",
            hint="take an adapter of the language model",
        )


def _check_whole_table(name: str, tensor: TensorHeader, model: _Model) -> None:
    """One of another extent has tokens of its own, which would be missing without a word."""
    module = name.removeprefix(_PREFIX).removesuffix(".base_layer.weight")
    weight = model.weight(module)
    if weight is not None and weight.shape != tensor.shape:
        raise _Misfit(
            f"it brings a vocabulary of {tensor.shape[0]} tokens, and the model's has "
            f"{weight.shape[0]}",
            hint="merge it into its model and serve that",
        )


class _Model:
    """The model's modules by the names that vLLM has for them."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.architecture = checkpoint.architecture
        self.sees = is_multimodal(checkpoint)
        tensors = tensors_of(checkpoint)
        self.is_known = bool(tensors)
        """Not where all weights are pickled: there are no headers to look at."""

        self._modules = {self._stored(name.rpartition(".")[0]) for name in tensors}
        self._weights = {
            self._stored(name.removesuffix(".weight")): tensor
            for name, tensor in tensors.items()
            if name.endswith(".weight")
        }

    def _stored(self, module: str) -> str:
        """Files of the bare model leave out the part that vLLM has around it."""
        bare = not self.sees and module.partition(".")[0] in _BARE
        return self._asked(f"model.{module}" if bare else module)

    def _asked(self, module: str) -> str:
        if not self.sees:
            return module
        return ".".join(part for part in module.split(".") if part not in _WRAPPERS)

    def has(self, module: str) -> bool:
        """Experts in one tensor are adapted as a whole, the other projection as a `base_layer`."""
        return self._asked(module.removesuffix(".base_layer")) in self._modules

    def weight(self, module: str) -> TensorHeader | None:
        """None where there is none, or it is packed and doesn't tell its extents."""
        found = self._weights.get(self._asked(module))
        if found is None and module == "lm_head":  # tied: the input's table is the output's too
            found = self._weights.get(self._asked("model.embed_tokens"))
        return found if found is not None and tells_extents(found) else None

    def hint(self, module: str) -> str:
        if f"model.{module}" in self._modules:
            return "save it from the model with its head (AutoModelForCausalLM), as vLLM runs it"
        return _OTHER


def _shown(extents: tuple[int, ...]) -> str:
    return " × ".join(map(str, extents))
