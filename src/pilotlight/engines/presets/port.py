"""Who answers at a replica's port: it was free a moment ago, and may be somebody else's now."""

from __future__ import annotations

import psutil


def stranger(port: int, pid: int) -> int | None:
    """The process that listens at `port`, if it surely isn't the server that was started as `pid`.

    Sure is only of one that was there before: a container's runtime, which is no child of
    ours, comes after. None too where the kernel doesn't tell. Blocks while it reads /proc.
    """
    try:
        began_s = psutil.Process(pid).create_time()
        found = _listener(port)
        if found is None or psutil.Process(found).create_time() >= began_s:
            return None
    except psutil.Error:
        return None
    return found


def _listener(port: int) -> int | None:
    for connection in psutil.net_connections(kind="tcp"):
        listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:2] == (port,)
        if listens and connection.pid is not None:
            return connection.pid
    return None
