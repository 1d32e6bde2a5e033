"""systemd on one server: a hardened unit, and releases side by side as virtual environments.

`unit` and `readme` are what is rendered, `limits` what is refused, `manager` the talk with systemd,
`environment` an installed release, `target` the verbs.
"""
