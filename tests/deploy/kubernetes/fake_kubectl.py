"""A kubectl with a cluster of its own in one file: strict about words, and fails when told to.

Run as a program: `python -S fake_kubectl.py STATE WORDS...`. STATE is a JSON file of objects by
name, of the server's versions, and of how many changes may be made before one fails.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, NoReturn

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
CLUSTER = ("namespace", "persistentvolume")
VERSIONS = [
    "v1", "apps/v1", "policy/v1", "networking.k8s.io/v1", "rbac.authorization.k8s.io/v1",
]  # fmt: skip


class Cluster:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.state: dict[str, Any] = json.loads(path.read_text())

    def save(self) -> None:
        self._path.write_text(json.dumps(self.state))

    @property
    def objects(self) -> dict[str, Any]:
        found: dict[str, Any] = self.state["objects"]
        return found

    def changing(self, what: str) -> None:
        """Counts down to the change that fails."""
        self.state["log"].append(what)
        left = self.state.get("fails_after")
        if left is not None:
            self.state["fails_after"] = left - 1
            if left == 0:
                self.save()
                refuse(f"Error from server (InternalError): told to fail at {what}")


def refuse(words: str) -> NoReturn:
    print(words, file=sys.stderr)
    sys.exit(1)


def flags(words: list[str]) -> tuple[list[str], dict[str, str]]:
    plain: list[str] = []
    found: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if word in ("-n", "-l", "-o", "-f", "--context", "--kubeconfig"):
            found[word] = next(rest)
        elif word.startswith("--"):
            name, _, value = word.partition("=")
            found[name] = value
        else:
            plain.append(word)
    return plain, found


def singular(kind: str) -> str:
    name = kind.partition(".")[0]
    return "networkpolicy" if name == "networkpolicies" else name.removesuffix("s")


def name_of(body: dict[str, Any]) -> str:
    metadata = body["metadata"]
    parts = (body["kind"].lower(), metadata.get("namespace"), metadata["name"])
    return "/".join(part for part in parts if part)


def matches(body: dict[str, Any], selector: str) -> bool:
    labels = body["metadata"].get("labels", {})
    return all(labels.get(k) == v for k, v in (each.split("=") for each in selector.split(",")))


def chosen(cluster: Cluster, kinds: str, told: dict[str, str]) -> list[str]:
    wanted = [singular(kind) for kind in kinds.split(",")]
    assert "-l" in told, "nothing may be looked for without its label"
    return [
        name
        for name, body in cluster.objects.items()
        if body["kind"].lower() in wanted
        and matches(body, told["-l"])
        and (body["kind"].lower() in CLUSTER or body["metadata"]["namespace"] == told["-n"])
    ]


def get(cluster: Cluster, plain: list[str], told: dict[str, str]) -> None:
    assert told["-o"] == "json"
    if "-f" in told:
        names = [name_of(body) for body in bodies()]
        if "--ignore-not-found" in told:
            names = [name for name in names if name in cluster.objects]
            if not names:
                return
        found = [cluster.objects[name] for name in names]
        print(json.dumps(found[0] if len(found) == 1 else {"kind": "List", "items": found}))
        return
    if len(plain) == 1:
        items = [cluster.objects[name] for name in chosen(cluster, plain[0], told)]
        print(json.dumps({"kind": "List", "items": items}))
        return
    name = "/".join([plain[0], *([told["-n"]] if "-n" in told else []), plain[1]])
    if name not in cluster.objects:
        refuse(f'Error from server (NotFound): "{name}" not found')
    print(json.dumps(cluster.objects[name]))


def bodies() -> list[dict[str, Any]]:
    return [json.loads(text) for text in sys.stdin.read().split("---\n") if text.strip()]


def check(cluster: Cluster, body: dict[str, Any], made: set[str]) -> None:
    if body["apiVersion"] not in cluster.state["versions"]:
        refuse(f'no matches for kind "{body["kind"]}" in version "{body["apiVersion"]}"')
    space = body["metadata"].get("namespace")
    if space and f"namespace/{space}" not in {*cluster.objects, *made}:
        refuse(f'Error from server (NotFound): namespaces "{space}" not found')


def apply(cluster: Cluster, plain: list[str], told: dict[str, str]) -> None:
    assert told["-f"] == "-"
    rehearsal = told.get("--dry-run") == "server"
    for body in bodies():
        name = name_of(body)
        check(cluster, body, set())
        if rehearsal:
            if name in cluster.state["denied"]:
                refuse(f"Error from server (Forbidden): {name} denied the request")
            continue
        cluster.changing(f"apply {name}")
        text = json.dumps(body)
        annotations = body["metadata"].get("annotations", {})
        noted = {**body["metadata"], "annotations": {**annotations, LAST_APPLIED: text}}
        known = "configured" if name in cluster.objects else "created"
        cluster.objects[name] = {**body, "metadata": noted}
        cluster.save()
        print(f"{name} {known}")


def create(cluster: Cluster, plain: list[str], told: dict[str, str]) -> None:
    for body in bodies():
        name = name_of(body)
        check(cluster, body, set())
        if name in cluster.objects:
            refuse(f"Error from server (AlreadyExists): {name} already exists")
        cluster.changing(f"create {name}")
        cluster.objects[name] = body
        cluster.save()
        print(f"{name} created")


def delete(cluster: Cluster, plain: list[str], told: dict[str, str]) -> None:
    if "-l" in told:
        names = chosen(cluster, plain[0], told)
    else:
        assert "--ignore-not-found" in told
        names = [name_of(body) for body in bodies()]
    for name in names:
        if name not in cluster.objects:
            continue
        cluster.changing(f"delete {name}")
        body = cluster.objects.pop(name)
        if body["kind"] == "Namespace":
            space_name = body["metadata"]["name"]
            for inner in list(cluster.objects):
                if cluster.objects[inner]["metadata"].get("namespace") == space_name:
                    del cluster.objects[inner]
        cluster.save()
        print(f'"{name}" deleted')


def rollout(cluster: Cluster, plain: list[str], told: dict[str, str]) -> None:
    name = f"deployment/{told['-n']}/{plain[1].partition('/')[2]}"
    if name in cluster.state["stuck"]:
        refuse(f"error: timed out waiting for the condition on {name}")


def scale(cluster: Cluster, plain: list[str], told: dict[str, str]) -> None:
    name = f"deployment/{told['-n']}/{plain[0].partition('/')[2]}"
    cluster.changing(f"scale {name} {told['--replicas']}")
    cluster.objects[name]["spec"]["replicas"] = int(told["--replicas"])


def wait(cluster: Cluster, plain: list[str], told: dict[str, str]) -> None:
    assert told["--for"] == "delete"
    refuse("error: no matching resources found")


def logs(cluster: Cluster, plain: list[str], told: dict[str, str]) -> None:
    print(f"[pod/of-{told['-n']}] a line since {told['--since']}")


def versions(cluster: Cluster, plain: list[str], told: dict[str, str]) -> None:
    print("\n".join(cluster.state["versions"]))


VERBS = {
    "get": get, "apply": apply, "create": create, "delete": delete, "rollout": rollout,
    "scale": scale, "wait": wait, "logs": logs, "api-versions": versions,
}  # fmt: skip


def main(state: str, *words: str) -> None:
    cluster = Cluster(Path(state))
    [verb, *plain], told = flags(list(words))
    for denied in cluster.state.get("forbidden", ()):
        if " ".join([verb, *plain]).startswith(denied):
            refuse(f"Error from server (Forbidden): cannot {denied}")
    if verb not in VERBS:
        refuse(f'error: unknown command "{verb}"')
    VERBS[verb](cluster, plain, told)
    cluster.save()


def called(argv: Sequence[str], *, input: str | None = None, **_: Any) -> CompletedProcess[str]:
    """`subprocess.run` of this program without a process: what it prints, and how it ends."""
    output, errors = io.StringIO(), io.StringIO()
    stdin, sys.stdin = sys.stdin, io.StringIO(input or "")
    code = 0
    try:
        with redirect_stdout(output), redirect_stderr(errors):
            main(*argv[argv.index(__file__) + 1 :])
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.stdin = stdin
    return CompletedProcess(list(argv), code, output.getvalue(), errors.getvalue())


if __name__ == "__main__":
    main(*sys.argv[1:])
