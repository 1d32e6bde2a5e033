"""Whether an adapter's file fits over a model, from the headers of both.

The checks are those that llama.cpp makes as it loads (llama_adapter_lora_init_impl
in llama-adapter.cpp), where a misfit costs the whole load, and those that it
leaves out, where one ends the process at the first request (llama-graph.cpp).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pilotlight.engines.base import Adapter, ModelJob
from pilotlight.engines.llamacpp.sizing import header_of
from pilotlight.engines.llamacpp.weights import is_tied
from pilotlight.errors import AdapterError, StoreError
from pilotlight.store import peft
from pilotlight.store.gguf import GgufHeader, TensorInfo

INVOCATION = "adapter.alora.invocation_tokens"

_CONVERT = "convert it with convert_lora_to_gguf.py of llama.cpp, and give the file that makes"
_AGAIN = "convert the adapter again with a current convert_lora_to_gguf.py of llama.cpp"
_OTHER = "take an adapter that was trained on this very model"
_INPUT = "token_embd.weight"
_SIDES = (".lora_a", ".lora_b")
_WHOLE_NUMBERS = frozenset({"I8", "I16", "I32", "I64"})


@dataclass(frozen=True, slots=True)
class Pair:
    """What is added to `weight`: `a` brings its input down to the rank, `b` brings it up again."""

    weight: TensorInfo
    a: TensorInfo
    b: TensorInfo

    def sides(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """The weight's input and output width, and those of the pair."""
        own = _extent(self.weight, 0), _extent(self.weight, 1)
        if self.weight.name.endswith(_INPUT):  # looked up by row, so `a` and `b` change sides
            return own, (_extent(self.b, 1), _extent(self.a, 1))
        return own, (_extent(self.a, 0), _extent(self.b, 1))

    def ranks(self) -> tuple[int, int]:
        inner = 0 if self.weight.name.endswith(_INPUT) else 1
        return _extent(self.a, inner), _extent(self.b, 0)


def check(job: ModelJob, adapter: Adapter) -> None:
    """Raises AdapterError where llama.cpp would refuse the file, or end because of it."""
    path = adapter.files.path
    try:
        _check_gguf(path)
        _check(header_of(job.files.path), header_of(path))
    except (_Misfit, StoreError) as fault:
        said = f"adapter {adapter.name!r} can't be laid over {job.name!r}: {fault.message}"
        raise AdapterError(said, hint=fault.hint) from None
    except OSError as fault:
        said = f"adapter {adapter.name!r} can't be read from {str(path)!r}: {fault.strerror}"
        raise AdapterError(said, hint="give the path of its GGUF file") from None


class _Misfit(AdapterError):
    """Before anybody has said which adapter of which model it is."""


def _check_gguf(path: Path) -> None:
    """What adapters come as otherwise says how it becomes a GGUF."""
    if path.is_dir():
        kind = "PEFT directory" if peft.is_adapter(path) else "directory"
        raise _Misfit(f"{str(path)!r} is a {kind}, and llama.cpp loads a GGUF file", hint=_CONVERT)
    with path.open("rb") as file:
        start = file.read(9)
    if start[:4] == b"GGUF":
        return
    kind = "safetensors file" if start[8:] == b"{" else f"file that starts with {start[:4]!r}"
    raise _Misfit(f"{str(path)!r} is a {kind}, and llama.cpp loads a GGUF", hint=_CONVERT)


def _check(model: GgufHeader, lora: GgufHeader) -> None:
    _check_kind(model, lora)
    pairs = list(_pairs(model, lora))
    if not pairs:
        raise _Misfit("the file has no LoRA tensors", hint=_AGAIN)
    tied = is_tied(model)
    scaled = frozenset(tensor.name for tensor in model.tensors if tensor.name.endswith(".scale"))
    for pair in pairs:
        _check_shape(pair)
        _check_runs(pair, tied, scaled)


def _check_kind(model: GgufHeader, lora: GgufHeader) -> None:
    kind = lora.metadata.get("general.type", "")
    if kind != "adapter":
        said = "a model of its own" if kind in ("", "model") else f"of the type {kind!r}"
        raise _Misfit(f"the file is {said}, no adapter", hint="give the adapter's own GGUF file")
    method = lora.metadata.get("adapter.type", "")
    if method != "lora":
        raise _Misfit(
            f"the adapter is of the type {method!r}, and llama.cpp has 'lora' alone",
            hint="merge it into the model, and serve the result",
        )
    if lora.architecture != model.architecture:
        raise _Misfit(
            f"it is made for {lora.architecture!r} models, this one is {model.architecture!r}",
            hint=_OTHER,
        )
    alpha = lora.metadata.get("adapter.lora.alpha", 0.0)
    if not isinstance(alpha, float):
        raise _Misfit(f"its adapter.lora.alpha is {alpha!r}, expected a float", hint=_AGAIN)
    if is_activated(lora):
        raise _Misfit(
            f"it is an activated LoRA ({INVOCATION}): from one to the next llama.cpp keeps the "
            "prompt's keys and values, also those that the first has changed",
            hint="take one that is on for the whole prompt",
        )


def is_activated(lora: GgufHeader) -> bool:
    return INVOCATION in lora.arrays or INVOCATION in lora.metadata


def _pairs(model: GgufHeader, lora: GgufHeader) -> Iterator[Pair]:
    weights = {tensor.name: tensor for tensor in model.tensors}
    for name, sides in _by_weight(lora).items():
        for side in _SIDES:
            if side not in sides:
                raise _Misfit(f"it lacks the tensor {name + side!r}", hint=_AGAIN)
        if name not in weights:
            raise _Misfit(f"it changes the tensor {name!r}, and the model has none", hint=_OTHER)
        yield Pair(weights[name], sides[".lora_a"], sides[".lora_b"])


def _by_weight(lora: GgufHeader) -> Mapping[str, Mapping[str, TensorInfo]]:
    """The halves of each pair; llama.cpp passes over norms that were trained along."""
    found: dict[str, dict[str, TensorInfo]] = {}
    for tensor in lora.tensors:
        name, side = tensor.name[:-7], tensor.name[-7:]
        if side in _SIDES:
            found.setdefault(name, {})[side] = tensor
        elif not tensor.name.endswith("_norm.weight"):
            raise _Misfit(f"its tensor {tensor.name!r} is half of no LoRA pair", hint=_AGAIN)
    return found


def _check_shape(pair: Pair) -> None:
    name = pair.weight.name
    own, made_for = pair.sides()
    if own != made_for:
        raise _Misfit(
            f"{name!r} is {own[0]} × {own[1]} in the model, and the adapter's is for "
            f"{made_for[0]} × {made_for[1]}",
            hint=_OTHER,
        )
    down, up = pair.ranks()
    if down != up:
        raise _Misfit(
            f"the halves for {name!r} have the ranks {down} and {up}: one is not transposed",
            hint=_AGAIN,
        )
    experts = tuple(_extent(tensor, 2) for tensor in (pair.weight, pair.a, pair.b))
    if name.endswith("_exps.weight") and len(set(experts)) > 1:
        raise _Misfit(
            f"{name!r} has {experts[0]} experts in the model, and the adapter's halves are for "
            f"{experts[1]} and {experts[2]}",
            hint=_OTHER,
        )


def _check_runs(pair: Pair, tied: bool, scaled: frozenset[str]) -> None:
    """What llama.cpp loads without a word, and then stops at an assertion of its own."""
    name = pair.weight.name
    for half in (pair.a, pair.b):
        if half.type_name in _WHOLE_NUMBERS:
            raise _Misfit(f"its tensor {half.name!r} is of the type {half.type_name}", hint=_AGAIN)
    if name.endswith(_INPUT) and tied:
        raise _Misfit(
            f"it changes {name!r}, which is this model's output too, and llama.cpp can't add it "
            "there",
            hint="take an adapter that leaves the embeddings alone",
        )
    scale = f"{name.removesuffix('.weight')}.scale"
    if pair.weight.type_name == "NVFP4" and ".ffn_" in name and scale in scaled:
        raise _Misfit(
            f"{name!r} is stored as NVFP4, and llama.cpp adds nothing to such feed-forward weights",
            hint="serve another quantization of the model",
        )


def _extent(tensor: TensorInfo, axis: int) -> int:
    return tensor.shape[axis] if axis < len(tensor.shape) else 1
