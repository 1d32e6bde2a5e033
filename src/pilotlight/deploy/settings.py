"""The `deploy` section of pilotlight.yaml: what holds for every target, and each one's own keys.

```yaml
deploy:
  name: chat
  image: registry.example.com/chat@sha256:…
  memory: 6GB
  lambda: {timeout: 5m}
  cloudrun: {memory: 8GB, concurrency: 16}
```

A target's own section wins over what stands beside it, and ``--set lambda.memory=8GB`` wins over
both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pilotlight.config import Bytes, Seconds, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What every target has; None is what the plan says, or else the default named in `help`.

    A target may have a default of its own: it comes after the plan, and before that of `help`.
    """

    needs_image: ClassVar[bool] = True
    """False for a target that runs what is installed on its machine."""

    name: str | None = setting(
        None, help="of everything made there; else the first model's name", example="chat"
    )
    image: str | None = setting(
        None,
        help="image to run, by digest or tag; else the one that `deploy image` made last",
        example="registry.example.com/pilotlight@sha256:" + "0123456789abcdef" * 4,
    )
    region: str | None = setting(None, help="of the platform", example="us-east-1")
    vcpus: float | None = setting(None, help="of one instance; else the plan's, else 2", example=4)
    memory: Bytes | None = setting(
        None, help="of one instance; else the plan's, else 6 GiB", example="6GiB"
    )
    disk: Bytes | None = setting(
        None, help="room that an instance may write to; else what its models need", example="10GB"
    )
    architecture: str | None = setting(
        None, help="x86_64 or arm64; else the plan's, else x86_64", example="arm64"
    )
    gpu: str | None = setting(
        None, help="the catalog's name of a GPU, or none; else the plan's, else none", example="l4"
    )
    gpus: int | None = setting(None, help="of one instance; else the plan's, else 1", example=1)
    concurrency: int | None = setting(
        None,
        help="requests that one instance is given at once; else the plan's, else 8 or what the "
        "platform gives",
        example=16,
    )
    minimum: int | None = setting(
        None, help="instances kept ready; else the plan's, else 0", example=1
    )
    maximum: int | None = setting(
        None, help="instances at most; else the plan's, else 4", example=8
    )
    idle: Seconds | None = setting(
        None,
        help="time that an instance without requests stays, where that can be chosen; else the "
        "plan's, else 5m",
        example="15m",
    )
    timeout: Seconds | None = setting(
        None, help="longest that one request may take; else 5m", example="15m"
    )
    models: str | None = setting(
        None,
        help="where instances have the weights from: image, fetch (at each start) or mount; else "
        "image",
        example="fetch",
    )
