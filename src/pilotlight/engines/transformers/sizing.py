"""What one model is served as: from its directory's word and its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pilotlight.engines.transformers.options import Options
from pilotlight.errors import ModelFormatError
from pilotlight.store.checkpoint import Checkpoint

DEFAULT_CONTEXT = 4096

_POSITIONS_AFTER_PADDING = ("roberta", "xlm-roberta", "camembert", "mpnet", "longformer")
_KNOWN_MODULES = ("Transformer", "Pooling", "Normalize")
_POOLINGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "last",
    "pooling_mode_mean_tokens": "mean",
}
_POOLED = {"mean": "mean", "cls": "cls", "max": "max", "lasttoken": "last"}


@dataclass(frozen=True, slots=True)
class Sizing:
    """`context` is for one request, prompt and answer together."""

    context: int
    generates: bool
    embeds: bool
    pooling: str
    template: str | None


def size(options: Options, checkpoint: Checkpoint) -> Sizing:
    """Raises ModelFormatError for pickled weights that nobody asked for, and for vectors that
    need a step that isn't served here.
    """
    _reject_pickled(options, checkpoint)
    _reject_steps(checkpoint)
    generates = checkpoint.kind != "encoder"
    wanted = options.context or DEFAULT_CONTEXT
    embeds = not generates or bool(checkpoint.modules)
    return Sizing(
        context=min(wanted, _most(checkpoint) or wanted),
        generates=generates,
        embeds=checkpoint.kind != "seq2seq"
        and (options.embedding if options.embedding is not None else embeds),
        pooling=options.pooling or _pooling(checkpoint),
        template=(options.template or checkpoint.chat_template) if generates else None,
    )


def _reject_pickled(options: Options, checkpoint: Checkpoint) -> None:
    if checkpoint.is_pickled and options.load_format != "pt":
        raise ModelFormatError(
            f"{str(checkpoint.directory)!r} has pickled weights only ({checkpoint.pickles[0]}), "
            "which can run code",
            hint="take the model's safetensors, or set load_format: pt if you trust its maker",
        )
    if not checkpoint.pickles and options.load_format == "pt":
        raise ModelFormatError(
            f"{str(checkpoint.directory)!r} has no pickled weights",
            hint="drop the option load_format",
        )


def _most(checkpoint: Checkpoint) -> int | None:
    """RoBERTa's kin number positions from behind the padding token's."""
    most, padding = checkpoint.context, checkpoint.number("pad_token_id")
    if most is not None and checkpoint.config.get("model_type") in _POSITIONS_AFTER_PADDING:
        return most - 1 - (padding or 0)
    return most


def _reject_steps(checkpoint: Checkpoint) -> None:
    for module in checkpoint.modules:
        kind = str(module.get("type", "")).rpartition(".")[2]
        if kind not in _KNOWN_MODULES:
            raise ModelFormatError(
                f"the vectors of {checkpoint.directory.name!r} need a step {kind!r}, which the "
                "transformers engine doesn't have",
                hint=f"it has {', '.join(_KNOWN_MODULES)}",
            )


def _pooling(checkpoint: Checkpoint) -> str:
    """As the directory says; else by the first token that has seen the whole text."""
    for module in checkpoint.modules:
        if named := _named_pooling(module.get("config") or {}):
            return named
    return "mean" if checkpoint.kind == "encoder" else "last"


def _named_pooling(config: Mapping[str, Any]) -> str | None:
    if mode := _POOLED.get(str(config.get("pooling_mode"))):
        return mode
    return next((mode for name, mode in _POOLINGS.items() if config.get(name)), None)
