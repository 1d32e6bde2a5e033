"""Models of every family that a file can be shaped like, as small as llama.cpp takes them."""

from __future__ import annotations

from pilotlight.catalog.architecture import Architecture, Experts, Latent, Recurrent, Window

DENSE = Architecture(
    layers=4,
    hidden=256,
    heads=4,
    kv_heads=4,
    head_dim=64,
    feed_forward=512,
    vocabulary=1000,
    context=2048,
    tied=False,
)


def like(shape: Architecture = DENSE, **changes: object) -> Architecture:
    from dataclasses import replace

    return replace(shape, **changes)  # type: ignore[arg-type]


SHARED = Experts(count=8, used=2, width=256, shared_width=512, dense_layers=1)
LATENT = Latent(kv_rank=256, rope_dim=64, nope_dim=128, value_dim=128, q_rank=256)
SHAPES = {
    "dense": DENSE,
    "tied": like(tied=True),
    "mixture": like(experts=Experts(count=8, used=2, width=256)),
    "shared experts": like(experts=SHARED),
    "latent": like(experts=SHARED, latent=LATENT),
    "windows": like(tied=True, window=Window(tokens=512, layers=3)),
}
RECURRENT = like(
    recurrent=Recurrent(layers=2, inner=512, state=16, groups=1, conv=4, parameters=500_000)
)
