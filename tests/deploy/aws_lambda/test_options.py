"""Lambda's own keys of a configuration and of the command line, as they reach a function."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.aws_lambda.releases import CHAT
from pilotlight.deploy.aws_lambda import function
from pilotlight.deploy.aws_lambda.options import LambdaOptions
from pilotlight.deploy.aws_lambda.target import LambdaTarget
from pilotlight.deploy.registry import find
from pilotlight.deploy.section import options_of, own_settings
from pilotlight.errors import ConfigError


def test_the_registry_has_it() -> None:
    assert find("lambda") == LambdaTarget()
    assert LambdaTarget().options is LambdaOptions


def test_keys_of_the_file_and_of_the_command_line() -> None:
    section = {
        "memory": "6GB",
        "lambda": {
            "memory": "8GiB",
            "environment": {"COUNT": 3, "ON": True, "TEXT": "x"},
            "tags": {"cost": 711},
            "subnets": ["subnet-1", "subnet-2"],
        },
    }
    options = options_of(LambdaTarget(), section, ["lambda.auth=AWS_IAM", "log_retention=30"])
    assert options.memory == 8 * 2**30
    assert options.auth == "AWS_IAM"
    assert options.log_retention == 30
    release = replace(CHAT, options=options)
    environment = function.environment(release)
    assert [environment[name] for name in ("COUNT", "ON", "TEXT")] == ["3", "true", "x"]
    assert function.tags(release)["cost"] == "711"
    assert function.vpc(release) == {"subnets": ["subnet-1", "subnet-2"], "security_groups": []}


def test_an_unknown_key_has_the_close_one() -> None:
    with pytest.raises(ConfigError, match="invoke_mod") as caught:
        options_of(LambdaTarget(), {"lambda": {"invoke_mod": "BUFFERED"}})
    assert caught.value.hint is not None
    assert "'invoke_mode'" in caught.value.hint


def test_every_key_says_what_it_is_for() -> None:
    assert all(len(item.help) > 10 for item in own_settings(LambdaOptions))


def test_without_boto3_the_next_step_is_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(ConfigError, match="boto3") as caught:
        LambdaTarget().status(CHAT)
    assert caught.value.hint == "pip install 'pilotlight[aws]'"


def test_a_profile_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ConfigError, match="nobody") as caught:
        LambdaTarget().status(CHAT)
    assert caught.value.hint is not None
    assert "AWS_PROFILE" in caught.value.hint


def test_amazons_client_is_loaded_by_what_talks_to_amazon_alone() -> None:
    program = (
        "import sys; from deploy.aws_lambda.releases import CHAT; "
        "from pilotlight.deploy.aws_lambda.target import LambdaTarget; "
        "LambdaTarget().render(CHAT); "
        "LambdaTarget().check(CHAT); LambdaTarget().wanted(CHAT); "
        "assert not {'boto3', 'botocore'} & set(sys.modules)"
    )
    tests = Path(__file__).parents[2]
    subprocess.run((sys.executable, "-c", program), cwd=tests, check=True, timeout=60)
