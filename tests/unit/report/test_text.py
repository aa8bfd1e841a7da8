"""What a build prints for a function: its summary, and the commands that create and update it."""

from __future__ import annotations

import json
import shlex

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from lamina.emit.manifest import Manifest
from lamina.findings import make
from lamina.recipe import Function, Source, Variable
from lamina.report.text import function_lines, function_publish_lines
from lamina.runtimes import quotas

MANIFEST = Manifest(
    name="api", target="cp312-manylinux_2_34_aarch64", runtime="python3.12", architecture="arm64", sha256="ab",
    code_sha256="", zipped_bytes=1234, unzipped_bytes=5678, entries=1, packages=(), findings=(), recipe_sha256="",
    lock_sha256="", lamina_version="1",
)  # fmt: skip
FUNCTION = Function("app.handler", (Source("api"),), memory=1024 * 1024**2, timeout=30)
ZIP = "my dist/api-cp312-manylinux_2_34_aarch64-function.zip"


def test_a_small_function_is_uploaded_directly() -> None:
    assert [*function_publish_lines(MANIFEST, ZIP, FUNCTION, quotas())] == [
        "To create the function, and to update its code:",
        (
            "  aws lambda create-function --function-name api --runtime python3.12 --architectures arm64 "
            "--handler app.handler --memory-size 1024 --timeout 30 "
            f"""--role "$ROLE_ARN" --layers "$LAYER_VERSION_ARN" --zip-file 'fileb://{ZIP}'"""
        ),
        f"  aws lambda update-function-code --function-name api --architectures arm64 --zip-file 'fileb://{ZIP}'",
    ]


def test_a_large_one_goes_through_a_bucket() -> None:
    large = msgspec.structs.replace(MANIFEST, zipped_bytes=quotas().direct_upload + 1)
    key = "api-cp312-manylinux_2_34_aarch64-function.zip"
    _, copy, create, update = function_publish_lines(large, ZIP, FUNCTION, quotas())
    assert copy == f"""  aws s3 cp '{ZIP}' "s3://$BUCKET/{key}\""""
    assert create.endswith(f"""--layers "$LAYER_VERSION_ARN" --code "S3Bucket=$BUCKET,S3Key={key}\"""")
    assert update.endswith(f"""--architectures arm64 --s3-bucket "$BUCKET" --s3-key {key}""")


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"])))
def test_variables_are_json_in_a_word_of_the_shell(value: str) -> None:
    declared = {"PLAIN": Variable(value=value), "BUCKET": Variable(required=True), "KEY": Variable(secret=True)}
    function = msgspec.structs.replace(FUNCTION, environment=declared)
    _, create, _ = function_publish_lines(MANIFEST, ZIP, function, quotas())
    words = shlex.split(create)
    stated = json.loads(words[words.index("--environment") + 1])
    assert stated == {"Variables": {"PLAIN": value, "BUCKET": "$BUCKET", "KEY": "$KEY"}}
    assert create.count('"$BUCKET"') == 1  # outside the single quotes, where a shell expands it


def test_the_summary_says_whose_the_error_is() -> None:
    title = "api: the function for cp312-manylinux_2_34_aarch64"
    assert [*function_lines(MANIFEST, "x.zip", withheld=False)] == [
        f"{title}: x.zip", "  1,234 bytes zipped, 5,678 unzipped, 1 file", "  sha256 ab",
    ]  # fmt: skip
    assert [*function_lines(MANIFEST, None, withheld=True)] == [f"{title}: no artefact; the error is the layer's"]
    failed = msgspec.structs.replace(MANIFEST, findings=(make("missing-import", "app.py", "No module named 'x'"),))
    lines = [*function_lines(failed, None, withheld=False)]
    assert lines[0] == f"{title}: no artefact; what was found stands below"
    assert "    error  missing-import  app.py" in lines
