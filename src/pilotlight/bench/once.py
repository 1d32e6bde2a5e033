"""One question and its whole answer, over the same connections as a run's."""

from __future__ import annotations

import asyncio

from pilotlight.bench.generator.exchange import Exchange
from pilotlight.bench.generator.pool import Pool
from pilotlight.bench.target import Target
from pilotlight.errors import ServerUnreachableError


async def ask_once(
    target: Target, method: str, path: str, body: bytes | None = None
) -> tuple[int, bytes]:
    """Status and body, whatever the status says.

    Raises:
        ServerUnreachableError: nobody answers, it broke off or took longer than the target's time.
    """
    ended: asyncio.Future[Exchange] = asyncio.get_running_loop().create_future()
    pool = Pool(target, ended.set_result)
    payload = b"%b%d\r\n\r\n%b" % (target.head(method, path), len(body or b""), body or b"")
    await pool.open(1)
    try:
        pool.send(Exchange(payload, 0.0))
        async with asyncio.timeout(target.timeout_s):
            exchange = await ended
    except TimeoutError:
        raise _broken(target, path, f"no answer in {target.timeout_s:g} s") from None
    finally:
        await pool.close()
    if exchange.failure is not None or exchange.status is None:
        raise _broken(target, path, exchange.failure[1] if exchange.failure else "no answer")
    return exchange.status, exchange.body


def _broken(target: Target, path: str, words: str) -> ServerUnreachableError:
    return ServerUnreachableError(
        f"{target.where} didn't answer {path}: {words}", hint="is the server still running?"
    )
