"""The cluster itself, for whoever has none: GKE by gcloud or Terraform, and one script from
nothing to a benchmark and back."""

from __future__ import annotations

from pilotlight.deploy.kubernetes.cluster.options import ClusterOptions
from pilotlight.deploy.kubernetes.cluster.render import check, render

__all__ = ["ClusterOptions", "check", "render"]
