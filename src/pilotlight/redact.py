"""Text made fit to print."""

from __future__ import annotations

import re

_USERINFO = re.compile(r"(?<=//)[^/@\s]+@")


def without_credentials(text: str) -> str:
    """``https://user:password@host/`` → ``https://***@host/``."""
    return _USERINFO.sub("***@", text)
