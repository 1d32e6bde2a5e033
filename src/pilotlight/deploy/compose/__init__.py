"""Docker Compose or Podman on one server: a container that survives reboots, updates and mistakes.

`compose_file` and `readme` are what is rendered, `limits` what is refused, `program` which of the
programs there are, `container` the talk with them, `target` the verbs.
"""
