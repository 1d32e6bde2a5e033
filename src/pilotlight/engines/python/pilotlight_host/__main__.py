"""Start: import this directory as a package, and leave the user's path as it was."""

from __future__ import annotations

import importlib
import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path[0] = os.path.dirname(here)
service = importlib.import_module(f"{os.path.basename(here)}.service")
del sys.path[0]
service.main()
