"""Kubernetes and GKE: a gateway, a Deployment of pods for each model, and nothing that runs idle.

`layout` says what is made and what it is called; `gateway`, `engine`, `cache`, `network`, `access`,
`tenancy`, `scaling` and `monitoring` make its documents, and `documents` puts them in order. The
same documents are a kustomize base with its overlay, a Helm chart and one plain file (`render`).
`limits` is what is refused; `kubectl` is the talk with a cluster, `verbs` what is asked of it.
`cluster` renders a GKE cluster to put it all on.
"""
