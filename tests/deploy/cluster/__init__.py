"""The Kubernetes target on a real cluster of two nodes, with the real image and the real model."""
