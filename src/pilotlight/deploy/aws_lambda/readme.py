"""What somebody needs who puts a rendered release up without us: commands, and who may do what."""

from __future__ import annotations

import json

from pilotlight.deploy.aws_lambda import ecr, function, policy
from pilotlight.deploy.aws_lambda.function import LambdaRelease
from pilotlight.deploy.resources import Files

_ACCOUNT = "123456789012"
_REPOSITORY = "pilotlight"

_PAGE = """\
# {name} on AWS Lambda

Written by `pilotlight deploy render lambda`. Either of `cloudformation.yaml` and `terraform/`
puts up the same: function `{name}` behind a URL, its role, its log. `pilotlight deploy apply
lambda` does it without either. Use one of the three: a function can have one owner.

| what | value |
| --- | --- |
| image | `{image}` |
| region | `{region}` |
| memory | {memory_mb} MB, with it {vcpus:.2f} vCPUs; {threads} threads compute |
| /tmp | {disk_mb} MB |
| longest request | {timeout_s} s |
| environments | {most}, one request each; {standby} kept ready |
| who may ask | {auth} |
| log | `{log_group}`, {retention} days |

## Before the first time

`deployer-policy.json` is all that your own credentials need for `pilotlight deploy`. CloudFormation
and Terraform ask for more: rights of their own, and a role under another name. The image has to be
in ECR of this region, and making the repository and pushing to it come on top, too:

```sh
aws ecr create-repository --region {region} --repository-name {repository}
aws ecr get-login-password --region {region} |
  docker login --username AWS --password-stdin {registry}
docker push {image_tag}
```

Lambda may pull from a repository of its own account; it notes that in the repository's policy by
itself. For a repository of another account, or where you may not change policies, its owner merges
`repository-policy.json` into the repository's.

## With CloudFormation

```sh
aws cloudformation deploy --region {region} --stack-name {name} \\
  --template-file cloudformation.yaml --capabilities CAPABILITY_IAM
aws cloudformation describe-stacks --region {region} --stack-name {name} \\
  --query 'Stacks[0].Outputs[?OutputKey==`Url`].OutputValue' --output text
```

## With Terraform

```sh
cd terraform
terraform init
terraform apply
terraform output -raw url
```

## Ask it

{ask}

## Remove it

```sh
aws cloudformation delete-stack --region {region} --stack-name {name}
```

or `terraform destroy`. The image and its repository stay.
"""

_WITH_KEY = """\
AWS lets everybody through, and the gateway asks for one of the API keys whose hashes it was given
(`pilotlight keys create` makes them; render again afterwards).

```sh
curl --no-buffer "$URL/v1/chat/completions" \\
  -H "Authorization: Bearer $PILOTLIGHT_API_KEY" -H 'Content-Type: application/json' \\
  -d '{{"model": "{model}", "stream": true, "messages": [{{"role": "user", "content": "Hello"}}]}}'
```"""

_WITH_SIGNATURE = """\
Only requests signed by an identity that may `lambda:InvokeFunctionUrl` and `lambda:InvokeFunction`
on the alias get through; the header `Authorization` is then AWS's, so the API key goes into
`X-Api-Key`.

```sh
curl --no-buffer "$URL/v1/chat/completions" \\
  --aws-sigv4 aws:amz:{region}:lambda --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \\
  -H "X-Amz-Security-Token: $AWS_SESSION_TOKEN" -H "X-Api-Key: $PILOTLIGHT_API_KEY" \\
  -H 'Content-Type: application/json' \\
  -d '{{"model": "{model}", "stream": true, "messages": [{{"role": "user", "content": "Hello"}}]}}'
```"""


def text(release: LambdaRelease) -> str:
    options, scaling = release.options, release.scaling
    image = ecr.parse(release.image)
    where = function.region(release)
    registry = image.registry if image else f"{_ACCOUNT}.dkr.ecr.{where}.amazonaws.com"
    repository = image.repository if image else _REPOSITORY
    tag = image.tag if image and image.tag else "latest"
    return _PAGE.format(
        name=release.name,
        image=release.image,
        region=where,
        memory_mb=function.memory_mb(release),
        vcpus=function.vcpus(release),
        threads=function.threads(release),
        disk_mb=function.disk_mb(release),
        timeout_s=function.timeout_s(release),
        most=f"at most {scaling.maximum}" if options.reserve else "as the account allows",
        standby=scaling.minimum,
        auth="API keys, checked by the gateway" if options.auth == "NONE" else "signed requests",
        log_group=function.log_group(release),
        retention=options.log_retention,
        registry=registry,
        repository=repository,
        image_tag=f"{registry}/{repository}:{tag}",
        ask=_ask(release),
    )


def _ask(release: LambdaRelease) -> str:
    page = _WITH_KEY if release.options.auth == "NONE" else _WITH_SIGNATURE
    model = next(iter(release.serve.get("models") or {}), "MODEL")
    return page.format(model=model, region=function.region(release))


def policies(release: LambdaRelease) -> Files:
    """Account and repository are the image's; without an image in ECR, an example's."""
    image = ecr.parse(release.image)
    account = image.account if image else _ACCOUNT
    repository = image.repository if image else _REPOSITORY
    where = function.region(release) or ""
    arn = f"arn:{function.partition(where)}:ecr:{where}:{account}:repository/{repository}"
    return {
        "deployer-policy.json": _pretty(policy.deployer(release, account, arn)),
        "repository-policy.json": _pretty(policy.repository(release, account)),
    }


def _pretty(document: dict[str, object]) -> str:
    return json.dumps(document, indent=2) + "\n"
