"""Values that stand for one to be filled in are told, in recipes and code; secrets too, without repeating them."""

from __future__ import annotations

import time

import pytest

from lamina.findings import Finding
from lamina.function.code import check_function
from lamina.function.facts import values
from lamina.function.placeholders import what_secret, why_placeholder
from lamina.recipe.model import Function, Source, Variable


def _found(value: str, name: str = "BUCKET") -> list[Finding]:
    code = f"import os\n\ndef lambda_handler(event, context):\n    return os.environ['{name}'] + event['x']\n"
    function = Function("handler.lambda_handler", (Source("function"),), environment={name: Variable(value=value)})
    return list(check_function({"handler.py": code.encode()}, function))


def test_a_placeholder_in_the_recipe() -> None:
    [finding] = _found("placeholder-bucket-name")
    assert (finding.code, finding.severity, finding.path) == (
        "placeholder-value",
        "error",
        "function.environment.BUCKET",
    )
    assert finding.message == (
        'the value "placeholder-bucket-name" says that it is a placeholder: the function would be deployed with it'
    )
    assert finding.hint == "Write the real value, or BUCKET = { required = true } if whoever deploys must set it."


def test_an_empty_value() -> None:
    [finding] = _found("")
    assert finding.message == "the value is empty: the function would be deployed with it"


@pytest.mark.parametrize(
    ("why", "example"), [(one.why, example) for one in values().placeholder for example in one.examples]
)
def test_examples_of_each_reason(why: str, example: str) -> None:
    assert why_placeholder(example) == why


REAL = (
    "orders-prod-eu-west-1 models/credit/v3.pkl https://api.anthropic.com claude-3-5-haiku-20241022 info DEBUG 1 0 "
    "true production dev staging test eu-central-1 0.5 512 arn:aws:sqs:eu-west-1:480123987654:jobs 100000 2024-01-01 "
    "there where atmosphere yourtube.com boxxx mexxico /opt/models hereford nowhere your documents-bucket-7f3a "
    "postgres://db.internal:5432/orders my-team-models example-driven testing-lab-data customer_tokens "
    "changelog todos bar-chart 123456 example.commerce.io keys/public.pem us-gov-west-1 prefix/ * .5 latest"
).split()


@pytest.mark.parametrize("value", REAL)
def test_real_values_pass(value: str) -> None:
    assert why_placeholder(value) == ""
    assert _found(value) == []


def test_a_secret_in_the_recipe_is_told_and_not_repeated() -> None:
    secret = "sk-ant-" + "api03-k3Jd8sLq92mZx71Pq0Rt"
    [finding] = _found(secret, "ANTHROPIC_API_KEY")
    assert finding.severity == "error"
    assert finding.message == ("the value is a key of the Anthropic API, and stands in the recipe for all to read")
    assert secret not in finding.message + finding.hint


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("X", "AKIA" + "IOSFODNN7ABCDEFG", "an access key of AWS"),
        ("DATABASE_URL", "postgres://app:hunter2@db/orders", "an address with a password in it"),
        ("X", "-----BEGIN RSA PRIVATE KEY-----\nMII", "a private key"),
        ("SERVICE_TOKEN", "a8f3k2l9d7s6q1w4", "a secret, by its name and form"),
        ("SERVICE_TOKEN_ARN", "a8f3k2l9d7s6q1w4", ""),
        ("DB_SECRET", "arn:aws:secretsmanager:eu-west-1:4801:secret:db", ""),
        ("AUTH", "cognito", ""),
        ("MAX_TOKENS", "4096", ""),
        ("API_KEY", "/prod/service/key1", ""),
    ],
)
def test_what_is_a_secret(name: str, value: str, what: str) -> None:
    assert what_secret(name, value)[0] == what


def test_a_default_in_code() -> None:
    code = (
        b"import os\nB = os.environ.get('B', 'your-bucket')\nC = os.getenv('C') or 'changeme'\nD = os.getenv('D', '')\n"
    )
    code += b"def lambda_handler(event, context):\n    return event['x'] + B + C + D\n"
    function = Function("handler.lambda_handler", (Source("f"),), environment={"C": Variable(required=True)})
    found = [one for one in check_function({"handler.py": code}, function) if one.code == "placeholder-value"]
    assert [(one.severity, one.path, one.message) for one in found] == [
        (
            "error",
            "handler.py",
            (
                'the default of B in line 2, "your-bucket", speaks of yours without being it: '
                "it is used as soon as nothing sets the variable"
            ),
        ),
        (
            "warning",
            "handler.py",
            'the default of C in line 3, "changeme", asks to be changed: it stands behind the declared one',
        ),
    ]


@pytest.mark.parametrize("unit", ["your-a_", "x", "x-", "0-", "a.", "put-", "_", "<my", "example.", "${", "://a:"])
def test_no_value_takes_long(unit: str) -> None:
    start = time.process_time()
    for end in ("", "!", "x"):
        why_placeholder(unit * 4096 + end)
        why_placeholder((unit * 512)[:500] + end)
        what_secret("API_KEY", unit * 4096 + end)
    assert time.process_time() - start < 1
