"""Speculative methods: llama.cpp's name for each, and where its settings go in both programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Method:
    """`settings` maps our name to llama-server's flag and the wheel's parameter."""

    name: str
    enum: str
    settings: Mapping[str, tuple[str, str]]
    needs_model: bool = False


_DRAFT: Mapping[str, tuple[str, str]] = {
    "model": ("--spec-draft-model", "speculative.draft.mparams.path"),
    "draft_max": ("--spec-draft-n-max", "speculative.draft.n_max"),
    "draft_min": ("--spec-draft-n-min", "speculative.draft.n_min"),
    "p_min": ("--spec-draft-p-min", "speculative.draft.p_min"),
    "gpu_layers": ("--spec-draft-ngl", "speculative.draft.n_gpu_layers"),
    "cache_type_k": ("--spec-draft-type-k", "speculative.draft.cache_type_k"),
    "cache_type_v": ("--spec-draft-type-v", "speculative.draft.cache_type_v"),
}


def _ngram(flag: str, parameter: str) -> Mapping[str, tuple[str, str]]:
    return {
        "ngram_size": (f"--spec-{flag}-size-n", f"speculative.{parameter}.size_n"),
        "draft_max": (f"--spec-{flag}-size-m", f"speculative.{parameter}.size_m"),
        "ngram_min_hits": (f"--spec-{flag}-min-hits", f"speculative.{parameter}.min_hits"),
    }


METHODS: Mapping[str, Method] = {
    "draft": Method("draft-simple", "DRAFT_SIMPLE", _DRAFT, needs_model=True),
    "eagle3": Method("draft-eagle3", "DRAFT_EAGLE3", _DRAFT, needs_model=True),
    "mtp": Method("draft-mtp", "DRAFT_MTP", _DRAFT),
    "ngram-simple": Method("ngram-simple", "NGRAM_SIMPLE", _ngram("ngram-simple", "ngram_simple")),
    "ngram-map-k": Method("ngram-map-k", "NGRAM_MAP_K", _ngram("ngram-map-k", "ngram_map_k")),
    "ngram-map-k4v": Method(
        "ngram-map-k4v", "NGRAM_MAP_K4V", _ngram("ngram-map-k4v", "ngram_map_k4v")
    ),
    "ngram-mod": Method(
        "ngram-mod",
        "NGRAM_MOD",
        {
            "ngram_size": ("--spec-ngram-mod-n-match", "speculative.ngram_mod.n_match"),
            "draft_max": ("--spec-ngram-mod-n-max", "speculative.ngram_mod.n_max"),
            "draft_min": ("--spec-ngram-mod-n-min", "speculative.ngram_mod.n_min"),
        },
    ),
    "ngram-cache": Method("ngram-cache", "NGRAM_CACHE", {}),
}
