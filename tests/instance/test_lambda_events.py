"""Events as Amazon's documents show them, and the requests that they stand for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pilotlight.errors import RequestError
from pilotlight.instance.lambda_events import HttpEvent, read, scope

FUNCTION_URL: dict[str, Any] = {
    "version": "2.0",
    "routeKey": "$default",
    "rawPath": "/my/path",
    "rawQueryString": "parameter1=value1&parameter1=value2&parameter2=value",
    "cookies": ["cookie1", "cookie2"],
    "headers": {"header1": "value1", "header2": "value1,value2"},
    "queryStringParameters": {"parameter1": "value1,value2", "parameter2": "value"},
    "requestContext": {
        "accountId": "123456789012",
        "apiId": "<urlid>",
        "authentication": None,
        "authorizer": {
            "iam": {
                "accessKey": "AKIA...",
                "accountId": "111122223333",
                "callerId": "AIDA...",
                "cognitoIdentity": None,
                "principalOrgId": None,
                "userArn": "arn:aws:iam::111122223333:user/example-user",
                "userId": "AIDA...",
            }
        },
        "domainName": "<url-id>.lambda-url.us-west-2.on.aws",
        "domainPrefix": "<url-id>",
        "http": {
            "method": "POST",
            "path": "/my/path",
            "protocol": "HTTP/1.1",
            "sourceIp": "123.123.123.123",
            "userAgent": "agent",
        },
        "requestId": "id",
        "routeKey": "$default",
        "stage": "$default",
        "time": "12/Mar/2020:19:03:58 +0000",
        "timeEpoch": 1583348638390,
    },
    "body": "Hello from client!",
    "pathParameters": None,
    "isBase64Encoded": False,
    "stageVariables": None,
}

REST_API: dict[str, Any] = {
    "version": "1.0",
    "resource": "/{proxy+}",
    "path": "/v1/models/a b",
    "httpMethod": "GET",
    "headers": {"Header1": "value1", "Header2": "value2"},
    "multiValueHeaders": {"Header1": ["value1"], "Header2": ["value1", "value2"]},
    "queryStringParameters": {"q": "value2", "other": "a&b"},
    "multiValueQueryStringParameters": {"q": ["value1", "value2"], "other": ["a&b"]},
    "requestContext": {
        "accountId": "123456789012",
        "domainName": "id.execute-api.us-east-1.amazonaws.com",
        "identity": {"sourceIp": "192.0.2.1", "userArn": None, "accessKey": None},
        "stage": "prod",
        "authorizer": {"claims": None, "scopes": None},
    },
    "body": None,
    "isBase64Encoded": False,
}

LOAD_BALANCER: dict[str, Any] = {
    "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:…"}},
    "httpMethod": "GET",
    "path": "/lambda",
    "queryStringParameters": {"query": "1234%20ABCD"},
    "headers": {
        "host": "lambda-alb.us-east-2.elb.amazonaws.com",
        "x-forwarded-for": "198.51.100.9, 72.12.164.125",
    },
    "body": "",
    "isBase64Encoded": False,
}


def parsed(base: dict[str, Any], **changes: Any) -> HttpEvent:
    return read(json.dumps({**base, **changes}).encode())


def test_a_function_url() -> None:
    event = parsed(FUNCTION_URL)
    assert (event.method, event.path) == ("POST", "/my/path")
    assert event.query == "parameter1=value1&parameter1=value2&parameter2=value"
    assert event.headers["cookie"] == "cookie1; cookie2"
    assert event.body == b"Hello from client!"
    assert event.source_ip == "123.123.123.123"
    assert event.signed
    assert event.shape.streams
    assert event.shape.cookies


def test_its_scope_is_asgis() -> None:
    made = scope(parsed(FUNCTION_URL), {"x-request-id": "1"})
    assert made["type"] == "http"
    assert made["http_version"] == "1.1"
    assert made["query_string"].startswith(b"parameter1=value1&")
    assert made["client"] == ("123.123.123.123", 0)
    assert made["server"] == ("<url-id>.lambda-url.us-west-2.on.aws", 443)
    assert (b"content-length", b"18") in made["headers"]
    assert (b"x-request-id", b"1") in made["headers"]
    assert (b"header2", b"value1,value2") in made["headers"]


def test_a_length_of_the_encoded_body_is_not_believed() -> None:
    event = parsed(FUNCTION_URL, body="aGk=", isBase64Encoded=True, headers={"Content-Length": "4"})
    assert event.body == b"hi"
    lengths = [value for name, value in scope(event, {})["headers"] if name == b"content-length"]
    assert lengths == [b"2"]


@pytest.mark.parametrize(
    ("raw", "stage", "path"),
    [
        ("/v1/models", "$default", "/v1/models"),
        ("/prod/v1/models", "prod", "/v1/models"),
        ("/prod", "prod", "/"),
        ("/production/v1", "prod", "/production/v1"),
        ("/v1/models/a%2Fb%20c", "$default", "/v1/models/a/b c"),
    ],
)
def test_paths(raw: str, stage: str, path: str) -> None:
    context = {**FUNCTION_URL["requestContext"], "stage": stage}
    assert parsed(FUNCTION_URL, rawPath=raw, requestContext=context).path == path


def test_a_rest_api() -> None:
    event = parsed(REST_API)
    assert (event.method, event.path) == ("GET", "/v1/models/a b")
    assert event.query == "q=value1&q=value2&other=a%26b"
    assert event.headers["header2"] == "value1, value2"
    assert event.body == b""
    assert event.source_ip == "192.0.2.1"
    assert not event.signed
    assert event.shape.multi_value
    assert event.shape.streams


def test_a_rest_api_that_checked_a_signature() -> None:
    identity = {"sourceIp": "192.0.2.1", "userArn": "arn:aws:iam::1:user/u"}
    context = {**REST_API["requestContext"], "identity": identity}
    assert parsed(REST_API, requestContext=context).signed


def test_a_load_balancer() -> None:
    event = parsed(LOAD_BALANCER)
    assert event.query == "query=1234%20ABCD"  # it hands on what it got
    assert event.host == "lambda-alb.us-east-2.elb.amazonaws.com"
    assert event.source_ip == "72.12.164.125"  # what it added itself, not what a client wrote
    assert not event.shape.streams
    assert not event.shape.multi_value
    assert not event.signed


def test_another_authorizer_is_no_signature() -> None:
    context = {**FUNCTION_URL["requestContext"], "authorizer": {"jwt": {"claims": {}}}}
    assert not parsed(FUNCTION_URL, requestContext=context).signed


@pytest.mark.parametrize("scheme", ["AWS4-HMAC-SHA256 Credential=…", "AWS4-ECDSA-P256-SHA256 …"])
def test_a_signature_for_aws_is_left_out(scheme: str) -> None:
    event = parsed(FUNCTION_URL, headers={"Authorization": scheme, "X-Api-Key": "pl-1"})
    assert event.headers == {"x-api-key": "pl-1", "cookie": "cookie1; cookie2"}
    kept = parsed(FUNCTION_URL, headers={"Authorization": "Bearer pl-1"})
    assert kept.headers["authorization"] == "Bearer pl-1"


def test_a_refusal_says_nothing_of_what_was_sent() -> None:
    secret = {"Records": [{"body": "hunter2"}]}
    with pytest.raises(RequestError) as caught:
        read(json.dumps(secret).encode())
    assert "hunter2" not in str(caught.value)
    assert caught.value.hint is not None
