"""An image as Lambda takes it: in a private ECR registry, whose address says account and region."""

from __future__ import annotations

import re
from dataclasses import dataclass

# The two forms of AWS's own address; FIPS ones are refused by Lambda.
_ADDRESS = re.compile(
    r"(?P<account>\d{12})\.(?:"
    r"dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?"
    r"|dkr-ecr\.(?P<dual_region>[a-z0-9-]+)\.on\.(?:aws|amazonwebservices\.com\.cn)"
    r")/(?P<repository>[a-z0-9][a-z0-9._/-]*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]*))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True, slots=True)
class EcrImage:
    account: str
    region: str
    repository: str
    tag: str | None
    digest: str | None

    @property
    def registry(self) -> str:
        suffix = ".cn" if self.region.startswith("cn-") else ""
        return f"{self.account}.dkr.ecr.{self.region}.amazonaws.com{suffix}"


def parse(image: str | None) -> EcrImage | None:
    """None for an image that is somewhere else."""
    found = _ADDRESS.fullmatch(image or "")
    if found is None:
        return None
    return EcrImage(
        account=found["account"],
        region=found["region"] or found["dual_region"],
        repository=found["repository"],
        tag=found["tag"],
        digest=found["digest"],
    )
