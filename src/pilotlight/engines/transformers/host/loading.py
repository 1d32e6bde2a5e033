"""From a directory to a model that computes."""

from __future__ import annotations

import ctypes
import gc
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
)

transformers.utils.logging.disable_progress_bar()

_CLASSES = {
    "causal": AutoModelForCausalLM,
    "seq2seq": AutoModelForSeq2SeqLM,
    "encoder": AutoModel,
}


_ADVISED = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
"""Of a model's generation_config.json; vLLM takes the same."""


@dataclass(frozen=True)
class Job:
    """What the product asks for; see `launch.params` there for each field's meaning."""

    name: str
    path: str
    kind: str
    context: int
    parallel: int
    threads: int
    prefill: int
    dtype: str
    device: str
    device_map: Any
    attention: str | None
    quantization: str | None
    trust_remote_code: bool
    pickled: bool
    chat_template: str | None
    template_kwargs: dict[str, Any]
    defaults: dict[str, Any]
    embeds: bool
    pooling: str


@dataclass(frozen=True)
class Loaded:
    job: Job
    model: Any
    tokenizer: Any

    @property
    def vocabulary(self) -> int:
        return int(self.model.config.get_text_config().vocab_size)

    @property
    def ends(self) -> list[int]:
        """Tokens that end an answer, by the model's word and by its tokenizer's."""
        own = getattr(getattr(self.model, "generation_config", None), "eos_token_id", None)
        found = own if isinstance(own, list) else [own]
        return sorted({int(t) for t in (*found, self.tokenizer.eos_token_id) if t is not None})

    @property
    def defaults(self) -> dict[str, Any]:
        """What a silent request gets: by the operator's word, else by the model's maker's."""
        own = getattr(self.model, "generation_config", None)
        advised = {name: getattr(own, name, None) for name in _ADVISED}
        known = {name: value for name, value in advised.items() if value is not None}
        return {**known, **self.job.defaults}

    def decode(self, tokens: list[int]) -> str:
        text: str = self.tokenizer.decode(tokens, skip_special_tokens=True)
        return text


def load(job: Job) -> Loaded:
    """Raises whatever transformers does, or ValueError for a checkpoint that isn't whole."""
    torch.set_num_threads(job.threads)
    common = {"local_files_only": True, "trust_remote_code": job.trust_remote_code}
    # First of all, for it knows best what is wrong with a model that isn't known.
    config = AutoConfig.from_pretrained(job.path, **common)
    tokenizer = AutoTokenizer.from_pretrained(job.path, config=config, **common)
    if job.chat_template is not None:
        tokenizer.chat_template = job.chat_template
    model, report = _CLASSES[job.kind].from_pretrained(
        job.path,
        config=config,
        dtype=job.dtype if job.dtype == "auto" else getattr(torch, job.dtype),
        use_safetensors=not job.pickled,
        output_loading_info=True,
        **common,
        **_placement(job),
    )
    _reject_holes(report, job)
    if job.device_map is None and job.quantization is None:
        model = model.to(device_of(job.device))
    model = model.eval().requires_grad_(False)
    return Loaded(job, model, tokenizer)


def _placement(job: Job) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if job.attention is not None:
        given["attn_implementation"] = job.attention
    if job.device_map is not None:
        given["device_map"] = job.device_map
    if job.quantization is not None:
        given["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=job.quantization == "bnb-4bit", load_in_8bit=job.quantization == "bnb-8bit"
        )
        given.setdefault("device_map", {"": device_of(job.device)})
    return given


def device_of(name: str) -> str:
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def _reject_holes(report: dict[str, Any], job: Job) -> None:
    """transformers fills missing weights with noise and warns; such a model only looks loaded."""
    missing = sorted(report["missing_keys"])
    if job.kind == "encoder":  # an unused head over the first token: many checkpoints have none
        missing = [name for name in missing if not name.startswith("pooler.")]
    if missing:
        shown = ", ".join(missing[:3])
        raise ValueError(f"the checkpoint in {Path(job.path).name!r} lacks weights: {shown} …")


def give_memory_back() -> None:
    """To the system, not only to the allocators: an engine asleep must be small."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
