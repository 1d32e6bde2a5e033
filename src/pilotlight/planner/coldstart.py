"""How long it takes from nothing to the first token's prefill, phase by phase."""

from __future__ import annotations

from dataclasses import dataclass

from pilotlight.catalog.platform import Platform


@dataclass(frozen=True, slots=True)
class Phase:
    name: str
    seconds: float
    billed: bool = True


@dataclass(frozen=True, slots=True)
class ColdStart:
    """One after another; what an engine overlaps, its caller takes out before."""

    phases: tuple[Phase, ...]

    @property
    def seconds(self) -> float:
        return sum(phase.seconds for phase in self.phases)

    @property
    def billed_s(self) -> float:
        return sum(phase.seconds for phase in self.phases if phase.billed)


def cold_start(
    platform: Platform,
    *,
    model_bytes: int,
    engine_start_s: float,
    load_bytes_per_s: float | None = None,
) -> ColdStart:
    """Of an instance without the model's bytes.

    `engine_start_s`: until the engine would load; `load_bytes_per_s`: from there into its memory,
    None where that is no slower than the bytes come in and happens meanwhile.
    """
    provision = platform.provision
    fetch_s = model_bytes / (provision.fetch_mb_s * 1e6)
    load_s = model_bytes / load_bytes_per_s if load_bytes_per_s else 0.0
    own = (
        Phase("fetch the model", fetch_s),
        Phase("start the engine", engine_start_s),
        Phase("load the weights", load_s),
    )
    boot = Phase("start an instance", provision.boot_s, provision.boot_billed)
    return ColdStart((boot, *_begun_again(own, provision.restart_after_s), *own))


def _begun_again(own: tuple[Phase, ...], limit_s: float | None) -> tuple[Phase, ...]:
    """What is lost where a platform breaks a long start off once and begins again."""
    if limit_s is None or sum(phase.seconds for phase in own) <= limit_s:
        return ()
    return (Phase(f"broken off after {limit_s:g} s and begun again", limit_s),)
