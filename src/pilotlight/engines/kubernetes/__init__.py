"""An engine in pods of a Kubernetes Deployment, brought up and let go by the gateway itself."""

from pilotlight.engines.kubernetes.engine import KubernetesEngine

__all__ = ["KubernetesEngine"]
