"""An index beside a pushed image, for platforms that start it before all of it has arrived.

Lambda and Cloud Run load images in pieces by themselves, and GKE does with image streaming; a
cluster with the SOCI or the stargz snapshotter wants one of these.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence

from pilotlight.deploy.image.command import Hear, run

Argv = Sequence[str]


def steps(kind: str, reference: str, *, plain_http: bool) -> tuple[Argv, ...]:
    """Commands, one after another; both kinds work on containerd's own copy of the image."""
    plain = ("--plain-http",) if plain_http else ()
    if kind == "soci":
        return (
            ("ctr", "image", "pull", *plain, reference),
            ("soci", "create", reference),
            ("soci", "push", *plain, reference),
        )
    if kind == "estargz":
        insecure = ("--insecure-registry",) if plain_http else ()
        converted = _converted(reference)
        return (
            ("nerdctl", *insecure, "pull", reference),
            ("nerdctl", "image", "convert", "--estargz", "--oci", reference, converted),
            ("nerdctl", *insecure, "push", converted),
        )
    return ()


def missing(kind: str, reference: str) -> tuple[str, ...]:
    """The programs that the steps need and that aren't on PATH."""
    programs = dict.fromkeys(argv[0] for argv in steps(kind, reference, plain_http=False))
    return tuple(program for program in programs if shutil.which(program) is None)


def index(kind: str, reference: str, *, plain_http: bool, hear: Hear | None) -> Iterator[str]:
    """Performs the steps; yields what there is to say. Raises DeployError when one fails."""
    if kind == "none":
        return
    if absent := missing(kind, reference):
        commands = "; ".join(
            " ".join(argv) for argv in steps(kind, reference, plain_http=plain_http)
        )
        yield f"no {kind} index was made: {', '.join(absent)} not on PATH. It takes: {commands}"
        return
    for argv in steps(kind, reference, plain_http=plain_http):
        run(argv, what=f"making the {kind} index", hint="the image itself is pushed", hear=hear)
    if kind == "estargz":
        yield f"pushed {_converted(reference)} to be pulled lazily: name it with --image"
    else:
        yield f"made the {kind} index of {reference}"


def _converted(reference: str) -> str:
    """eStargz is another image, not an index beside the same one."""
    return f"{reference}-esgz"
