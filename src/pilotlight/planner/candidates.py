"""Every way to run a model that the facts allow: variant × engine × machine × share of it.

What can't be for a reason known beforehand comes with the reason, so that nothing vanishes unseen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pilotlight.catalog.hardware import Cpu, Gpu
from pilotlight.catalog.platform import Rentable
from pilotlight.catalog.quantization import Quantization
from pilotlight.planner.device import gpu_device
from pilotlight.planner.engine_facts import ENGINES, EngineFacts
from pilotlight.planner.hardware import Hardware, Share, shares
from pilotlight.planner.refusal import Refusal
from pilotlight.planner.requirements import Limits
from pilotlight.planner.variants import Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    variant: Variant
    engine: EngineFacts
    rentable: Rentable
    share: Share

    @property
    def hardware(self) -> Hardware:
        return self.share.hardware


def candidates(
    variants: Sequence[Variant],
    rented: Iterable[Rentable],
    gpus: Mapping[str, Gpu],
    cpus: Mapping[str, Cpu],
    limits: Limits,
) -> Iterator[tuple[Candidate, Refusal | None]]:
    """All of them, each with what speaks against it already; names that `limits` leaves out aren't
    there at all, for whoever left them out knows why."""
    for rentable in rented:
        offer = rentable.offer
        if not _wanted(rentable, limits):
            continue
        gpu = gpus[offer.gpu] if offer.gpu else None
        against = _against_platform(rentable, limits)
        for share in shares(rentable, gpu, cpus[offer.cpu], limits.max_gpus):
            for variant in variants:
                for engine in _engines(variant, limits):
                    candidate = Candidate(
                        variant=variant, engine=engine, rentable=rentable, share=share
                    )
                    yield candidate, against or _against_engine(candidate, limits)


def _wanted(rentable: Rentable, limits: Limits) -> bool:
    platform, offer = rentable.platform, rentable.offer
    names = {platform.name, platform.provider, offer.name}
    if limits.platforms and not names & set(limits.platforms):
        return False
    return not limits.gpus or (offer.gpu or "none") in limits.gpus


def _engines(variant: Variant, limits: Limits) -> Iterator[EngineFacts]:
    for engine in ENGINES.values():
        named = not limits.engines or engine.name in limits.engines
        if named and variant.model.format in engine.formats:
            yield engine


def _against_platform(rentable: Rentable, limits: Limits) -> Refusal | None:
    platform = rentable.platform
    if limits.private and not platform.private:
        reason = f"somebody else's machine would see the prompts: {platform.provider}"
        return Refusal(kind="platform", reason=reason)
    if limits.regions and platform.region and platform.region not in limits.regions:
        reason = f"priced for {platform.region}, not for {', '.join(limits.regions)}"
        return Refusal(kind="platform", reason=reason)
    return None


def _against_engine(candidate: Candidate, limits: Limits) -> Refusal | None:
    quantization, hardware = candidate.variant.quantization, candidate.hardware
    engine = candidate.engine
    if engine.name not in quantization.engines:
        reason = f"{engine.name} doesn't run {quantization.name}"
        return Refusal(kind="engine", reason=reason)
    if quantization.bits_per_weight < limits.min_bits:
        reason = f"{quantization.bits_per_weight:g} bits a weight, under {limits.min_bits:g}"
        return Refusal(kind="quality", reason=reason)
    if hardware.gpus > 1 and not engine.tensor_parallel and engine.name != "llamacpp":
        reason = f"{engine.name} is planned for one GPU alone"
        return Refusal(kind="engine", reason=reason)
    missing = _kernels(quantization, hardware, engine)
    return Refusal(kind="engine", reason=missing) if missing else None


def _kernels(quantization: Quantization, hardware: Hardware, engine: EngineFacts) -> str | None:
    """What the hardware lacks for these weights; None where it lacks nothing."""
    gpu = hardware.gpu
    if gpu is None:
        wide = quantization.format == "gguf" or quantization.name in ("bf16", "f16", "fp16")
        return None if wide else f"{engine.name} has no {quantization.name} kernels for processors"
    if quantization.name == "bf16" and not gpu.bf16:
        return "no arithmetic in BF16 there"
    needed, has = quantization.minimum_capability, gpu.compute_capability
    if needed and has and has < needed:
        return f"kernels for it need compute capability {needed:g}"
    if gpu.vendor != "nvidia" and needed and quantization.compute not in gpu_device(gpu).flop_s:
        return f"{gpu.title} doesn't compute in {quantization.compute.upper()}"
    return None
