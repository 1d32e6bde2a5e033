"""The process that runs a class of the user's own, in whatever interpreter that needs.

It imports the standard library and itself, nothing else of Pilotlight, and works
from Python 3.9 on. It is started as a directory, ``python pilotlight_host``, and
reads JSON lines on stdin and answers with JSON lines on descriptor 3::

    → (started)                        {"event": "parked"}
    → {"op": "load", "model": …, "target": {…}, "kwargs": {…}, "parallel": …, "needs": […]}
                                       {"event": "ready"}
                                       {"event": "failed", "error": …, "hint": …}
    → {"op": "unload"}                 {"event": "parked"}
    → (end of file)                    exits, also from within a load

While a model is loaded it serves HTTP on the Unix socket ENGINE_SOCKET to whoever
knows ENGINE_SECRET. SIGTERM tears the model down and exits.
"""
