"""The model's forward pass; models differ in the arguments they know."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from transformers import DynamicCache


class Forward:
    """Scores of the token after the last column, as float32 of shape (rows, vocabulary)."""

    def __init__(self, model: Any) -> None:
        known = inspect.signature(model.forward).parameters
        self._model = model
        self._last_only = {"logits_to_keep": 1} if "logits_to_keep" in known else {}
        self._takes_positions = "position_ids" in known
        self.device = model.get_input_embeddings().weight.device

    def __call__(
        self,
        tokens: list[list[int]],
        cache: DynamicCache,
        mask: torch.Tensor | None = None,
        positions: list[list[int]] | None = None,
    ) -> torch.Tensor:
        given: dict[str, Any] = dict(self._last_only)
        if mask is not None:
            given["attention_mask"] = mask
        if positions is not None and self._takes_positions:
            given["position_ids"] = torch.tensor(positions, device=self.device)
        inputs = torch.tensor(tokens, device=self.device)
        answer = self._model(input_ids=inputs, past_key_values=cache, use_cache=True, **given)
        scores: torch.Tensor = answer.logits[:, -1].to(self.device, torch.float32)
        return scores
