"""What a model is for: generating, embedding or classifying, as vLLM will decide it."""

from __future__ import annotations

from enum import StrEnum

from pilotlight.engines.vllm.options import Options
from pilotlight.store.checkpoint import Checkpoint


class Task(StrEnum):
    GENERATE = "generate"
    EMBED = "embed"
    CLASSIFY = "classify"


# vLLM's own rule, by the end of the architecture's name (vllm/config/model.py).
_BY_SUFFIX = (
    ("ForCausalLM", Task.GENERATE),
    ("ForConditionalGeneration", Task.GENERATE),
    ("ChatModel", Task.GENERATE),
    ("LMHeadModel", Task.GENERATE),
    ("ForSequenceClassification", Task.CLASSIFY),
    ("ForTokenClassification", Task.CLASSIFY),
    ("ClassificationModel", Task.CLASSIFY),
    ("ForTextEncoding", Task.EMBED),
    ("ForRewardModeling", Task.EMBED),
    ("Model", Task.EMBED),
)

_CONVERTED = {"embed": Task.EMBED, "classify": Task.CLASSIFY}


def task_of(checkpoint: Checkpoint, options: Options) -> Task:
    if options.convert in _CONVERTED:
        return _CONVERTED[options.convert]
    architecture = checkpoint.architecture
    natural = next((task for end, task in _BY_SUFFIX if architecture.endswith(end)), Task.GENERATE)
    if options.runner == "pooling" and natural is Task.GENERATE:
        return Task.EMBED
    return Task.GENERATE if options.runner == "generate" else natural


def scores(checkpoint: Checkpoint, task: Task) -> bool:
    """Whether it can rank documents: embeddings by likeness, a classifier by its one label."""
    if task is Task.EMBED:
        return True
    labels = checkpoint.config.get("id2label")
    count = len(labels) if isinstance(labels, dict) else checkpoint.config.get("num_labels", 2)
    return task is Task.CLASSIFY and count == 1
