"""What PEFT's LoRA can be besides a LoRA, and vLLM's isn't (vllm/lora/peft_helper.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

_PLAIN_STARTS = ("gaussian", "eva", "orthogonal", "mica", "lora_ga")
"""Ways to begin the training that leave the model's own weights as they were."""


def _changes_the_model(value: Any) -> bool:
    return isinstance(value, str) and value.lower() not in _PLAIN_STARTS


_UNKNOWN: tuple[tuple[str, Callable[[Any], bool]], ...] = (
    # A classifier's head alone, and adapters are laid over models that generate.
    ("modules_to_save", bool),
    ("use_dora", bool),
    ("bias", lambda value: value != "none"),
    ("lora_bias", bool),
    ("init_lora_weights", _changes_the_model),
    ("alora_invocation_tokens", bool),
    ("layer_replication", bool),
    ("use_bdlora", bool),
    ("use_qalora", bool),
    # Its tensors have names that vLLM doesn't know (parse_fine_tuned_lora_name).
    ("trainable_token_indices", bool),
)

_CONVERT = (
    "save it with path_initial_model_for_weight_conversion, PEFT's way to make it a plain LoRA"
)
_HINTS: Mapping[str, str] = {"init_lora_weights": _CONVERT}
PLAIN = "train a plain LoRA, or merge this one into its model and serve that"


def unknown_to_vllm(config: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """Settings of an adapter_config.json that vLLM doesn't do: name, value and the next step."""
    for name, is_unknown in _UNKNOWN:
        if name in config and is_unknown(config[name]):
            yield name, config[name], _HINTS.get(name, PLAIN)
