"""The Terraform folder in Terraform itself: its form, its provider's schema, and put up at moto."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3.session
import psutil
import pytest

from deploy.aws_lambda.goldens import rendered
from deploy.aws_lambda.ministack import until_open
from deploy.aws_lambda.releases import CASES, CHAT
from pilotlight.deploy.aws_lambda.target import LambdaTarget

pytestmark = pytest.mark.platforms

cases = pytest.mark.parametrize("case", CASES)

MIRRORS = ("/opt/tf-plugins", "/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins")


@pytest.fixture
def terraform() -> str:
    program = shutil.which("terraform")
    if program is None:
        pytest.skip("terraform isn't on PATH")
    return program


def ran(*words: str, at: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=at, capture_output=True, text=True, timeout=300, env={**os.environ, **environ}
    )


def folder(case: str, into: Path) -> Path:
    for name, text in rendered(case).items():
        if name.startswith("terraform/"):
            (into / Path(name).name).write_text(text)
    return into


def initialized(terraform: str, at: Path) -> None:
    """With the provider of this machine; skips where it has none and none can be had."""
    mirror = next((place for place in MIRRORS if Path(place).is_dir()), None)
    given = (f"-plugin-dir={mirror}",) if mirror else ()
    done = ran(terraform, "init", "-input=false", "-no-color", *given, at=at)
    if done.returncode != 0 and "provider" in done.stderr:
        pytest.skip(f"Terraform's AWS provider isn't on this machine: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr


@cases
def test_it_is_written_as_terraform_writes(terraform: str, case: str, tmp_path: Path) -> None:
    done = ran(terraform, "fmt", "-check", "-diff", "-no-color", at=folder(case, tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr


@cases
def test_the_provider_takes_it(terraform: str, case: str, tmp_path: Path) -> None:
    initialized(terraform, folder(case, tmp_path))
    done = ran(terraform, "validate", "-no-color", at=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


SERVICES = ("cloudformation", "cloudwatchlogs", "iam", "lambda", "sts")


@pytest.fixture
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of moto's server, which takes image functions, URLs and stacks."""
    pytest.importorskip("moto.server", reason="moto[server] isn't installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port))
    with (tmp_path_factory.mktemp("moto") / "log").open("wb") as log:
        process = psutil.Popen(words, stdout=log, stderr=log)
    try:
        until_open(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(10)


def at_moto(url: str) -> str:
    """What Terraform lays over our provider block."""
    endpoints = "\n".join(f'    {service} = "{url}"' for service in SERVICES)
    return f"""
provider "aws" {{
  access_key                  = "testing"
  secret_key                  = "testing"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  endpoints {{
{endpoints}
  }}
}}
"""


def test_it_is_put_up_and_taken_down(terraform: str, moto: str, tmp_path: Path) -> None:
    folder("chat", tmp_path)
    (tmp_path / "moto_override.tf").write_text(at_moto(moto))
    initialized(terraform, tmp_path)
    apply = ran(terraform, "apply", "-auto-approve", "-input=false", "-no-color", at=tmp_path)
    assert apply.returncode == 0, apply.stdout + apply.stderr
    output = ran(terraform, "output", "-json", "-no-color", at=tmp_path)
    assert json.loads(output.stdout)["url"]["value"].startswith("https://")
    session = boto3.session.Session("testing", "testing", region_name="us-east-1")
    functions = session.client("lambda", endpoint_url=moto)
    _is_as_wanted(functions.get_function(FunctionName="chat"))
    groups = session.client("logs", endpoint_url=moto).describe_log_groups()["logGroups"]
    assert [(group["logGroupName"], group["retentionInDays"]) for group in groups] == [
        ("/aws/lambda/chat", 14)
    ]
    gone = ran(terraform, "destroy", "-auto-approve", "-input=false", "-no-color", at=tmp_path)
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert functions.list_functions()["Functions"] == []
    assert session.client("iam", endpoint_url=moto).list_roles()["Roles"] == []


def _is_as_wanted(made: Mapping[str, Any]) -> None:
    wanted, found = LambdaTarget().wanted(CHAT)["function/chat"], made["Configuration"]
    assert found["Environment"]["Variables"] == wanted["environment"]
    assert found["MemorySize"] == wanted["memory_mb"]
    assert found["Timeout"] == wanted["timeout_s"]
    assert made["Code"]["ImageUri"] == wanted["image"]
