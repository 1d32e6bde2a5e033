"""Texts as vectors of length one: the last hidden states of their tokens, pooled."""

from __future__ import annotations

import base64
from typing import Any

import torch

from .loading import Loaded
from .refusal import too_long


def reject_long(loaded: Loaded, inputs: list[list[int]]) -> None:
    longest = max(len(tokens) for tokens in inputs)
    if longest > loaded.job.context:
        raise too_long(longest, loaded.job.context, "input")


def embed(loaded: Loaded, tokens: list[int]) -> list[float]:
    """One text: exact, and padding costs more than a CPU gains by a batch."""
    model = loaded.model if loaded.job.kind == "encoder" else loaded.model.base_model
    device = loaded.model.get_input_embeddings().weight.device
    ids = torch.tensor([tokens], device=device)
    states = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0].float()
    pooled = POOLINGS[loaded.job.pooling](states)
    values: list[float] = torch.nn.functional.normalize(pooled, dim=0).tolist()
    return values


POOLINGS: dict[str, Any] = {
    "mean": lambda states: states.mean(dim=0),
    "cls": lambda states: states[0],
    "last": lambda states: states[-1],
    "max": lambda states: states.max(dim=0).values,
}


def as_base64(vector: list[float]) -> str:
    """Little-endian float32, as OpenAI's own clients ask for by default."""
    return base64.b64encode(torch.tensor(vector).numpy().astype("<f4").tobytes()).decode()
