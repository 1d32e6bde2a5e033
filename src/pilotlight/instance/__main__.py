from __future__ import annotations

from pilotlight.instance import main

main()
