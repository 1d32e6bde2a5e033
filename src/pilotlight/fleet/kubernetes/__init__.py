"""Pods of a cluster as replicas, through the Kubernetes API and without an operator."""

from pilotlight.fleet.kubernetes.access import Access, find
from pilotlight.fleet.kubernetes.fleet import PodFleet

__all__ = ["Access", "PodFleet", "find"]
