"""System prompts computed once: saved to disk, and in every slot before the first request.

A restore can succeed and reuse nothing (windowed and recurrent layers can't always go
back), so nothing counts as restored before a request was seen to reuse it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

from pilotlight.engines.base import EngineProcess, ModelJob
from pilotlight.engines.llamacpp import adapters
from pilotlight.engines.llamacpp.prompt_prefix import Prefix, ask, shared_prefix
from pilotlight.engines.llamacpp.prompt_shelf import PromptShelf, sweep
from pilotlight.engines.llamacpp.speculation import METHODS
from pilotlight.errors import EngineCrashedError, EngineError, PilotlightError

log = logging.getLogger(__name__)

_COMPUTE_TIMEOUT_S = 600.0
_FILE_TIMEOUT_S = 120.0


class Recall:
    """One loaded process, its prompts and where their states are kept."""

    def __init__(
        self,
        process: EngineProcess,
        job: ModelJob,
        shelf: PromptShelf,
        key_of: Callable[[Sequence[int]], str],
    ) -> None:
        self._process = process
        self._job = job
        self._shelf = shelf
        self._key_of = key_of

    async def run(self, texts: Sequence[str]) -> int:
        """Prompts take turns over the slots, and with fewer slots the first ones have them.

        Returns how many tokens came from disk. Raises EngineError.
        """
        count: int = self._job.options.parallel
        if len(texts) > count:
            log.warning(
                "model %r has %d system prompts and %d slots: only the first %d are restored; "
                "raise its option parallel", self._job.name, len(texts), count, count,
            )  # fmt: skip
        if self._job.adapters:
            await self._enter_bare(range(count))
        restored = 0
        for number, text in enumerate(texts[:count]):
            restored += await self._bring(text, range(number, count, len(texts)))
        await asyncio.to_thread(sweep, self._shelf)
        return restored

    async def _enter_bare(self, slots: Sequence[int]) -> None:
        """A slot forgets what it has as it turns from no list of adapters to one where all are
        off (lora_should_clear_cache in server-common.cpp): so turn before the restore."""
        await asyncio.gather(*(self._compute((0,), slot) for slot in slots))

    async def _bring(self, text: str, slots: Sequence[int]) -> int:
        prefix = await shared_prefix(self._process, text)
        key = self._key_of(prefix.tokens)
        if reason := await asyncio.to_thread(self._shelf.refusal, key):
            raise _refused(reason)
        try:
            name, restored = await self._state(key, prefix, slots[0])
            for slot in slots:  # the first one too: the proof has left a token behind
                await self._restore(name, slot)
        except EngineCrashedError:
            reason = "the engine ended when that was tried, with this build and these options"
            await asyncio.to_thread(self._shelf.refuse, key, reason)
            raise
        return restored

    async def _state(self, key: str, prefix: Prefix, slot: int) -> tuple[str, int]:
        """The name of a file that was seen to work, and how many tokens weren't computed anew."""
        kept = await asyncio.to_thread(self._shelf.find, key)
        if kept is not None:
            if await self._works(kept, prefix, slot):
                return kept, len(prefix.tokens)
            log.warning("model %r: a kept system prompt is of no use, and is computed anew: %s",
                        self._job.name, kept)  # fmt: skip
            await asyncio.to_thread(self._shelf.drop, key)
        made = await self._save(key, prefix, slot)
        if await self._works(made, prefix, slot):
            return made, 0
        # llama.cpp wants one token more of a windowed layer than it saves (pos_min_thold in
        # server-context.cpp), and then starts over.
        reason = "this model reuses nothing of what is restored"
        await asyncio.to_thread(self._shelf.refuse, key, reason)
        raise _refused(reason)

    async def _save(self, key: str, prefix: Prefix, slot: int) -> str:
        await self._compute(prefix.tokens, slot)
        partial = self._shelf.partial(key)
        try:
            path = f"/slots/{slot}?action=save"
            saved = await ask(self._process, path, {"filename": partial}, _FILE_TIMEOUT_S)
            if saved["n_saved"] != len(prefix.tokens):
                raise EngineError(
                    f"the engine saved {saved['n_saved']} tokens of a system prompt that has "
                    f"{len(prefix.tokens)}",
                    hint="remove the model's system_prompts",
                )
            return await asyncio.to_thread(self._shelf.adopt, key, partial)
        except OSError as fault:
            raise EngineError(
                f"the state of a system prompt can't be kept in {str(self._shelf.directory)!r}: "
                f"{fault.strerror}",
                hint="look at the disk's free space",
            ) from None
        finally:
            (self._shelf.directory / partial).unlink(missing_ok=True)

    async def _works(self, name: str, prefix: Prefix, slot: int) -> bool:
        """Whether the file can be restored, and a request then starts from its tokens."""
        try:
            await self._restore(name, slot)
        except EngineCrashedError:
            raise
        except PilotlightError as fault:
            log.warning("model %r: %s", self._job.name, fault.one_line())
            return False
        answer = await self._compute((*prefix.tokens, prefix.follower), slot)
        return int(answer["timings"]["cache_n"]) >= len(prefix.tokens)

    async def _restore(self, name: str, slot: int) -> None:
        path = f"/slots/{slot}?action=restore"
        await ask(self._process, path, {"filename": name}, _FILE_TIMEOUT_S)

    async def _compute(self, tokens: Sequence[int], slot: int) -> Any:
        """Read `tokens` in `slot` with the bare model, as far as it doesn't have them."""
        body = {"prompt": list(tokens), "n_predict": 0, "cache_prompt": True, "id_slot": slot}
        payload = json.dumps(body).encode()
        if self._job.adapters:
            payload = adapters.address(payload, self._job, None)
        return await ask(self._process, "/completion", payload, _COMPUTE_TIMEOUT_S)


def _refused(reason: str) -> EngineError:
    return EngineError(
        f"the state of a system prompt isn't kept: {reason}",
        hint="where the model's layers are windowed, set its option swa_full; else remove its "
        "system_prompts",
    )


def check(job: ModelJob, generates: bool) -> None:
    """Raises EngineError where a restored prompt can be of no use, or would do harm."""
    if not generates:
        raise EngineError(
            f"model {job.name!r} generates no text, and has no system prompts",
            hint=f"remove models.{job.name}.system_prompts",
        )
    guess = job.options.speculative
    if guess is not None and (METHODS[guess.method].needs_model or guess.method == "mtp"):
        raise EngineError(
            f"model {job.name!r} guesses ahead by {guess.method!r}, and what the guesser "
            "remembers of a prompt llama.cpp doesn't save",
            hint="use an n-gram method, or remove the model's system_prompts",
        )
