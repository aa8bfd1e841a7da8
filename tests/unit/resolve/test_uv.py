"""What uv is asked, in which environment, and what its answers mean."""

# ruff: noqa: E501 - the lines of uv are as long as they are

from __future__ import annotations

from pathlib import Path

import pytest

from lamina.errors import IndexAccessError
from lamina.index import from_environment
from lamina.recipe import Index
from lamina.resolve.model import Answer
from lamina.resolve.uv import environment, parse, platform_for, raise_for_index
from lamina.target import target_for


@pytest.mark.parametrize(
    ("python", "platform", "expected"),
    [
        ("cp311", "manylinux1_x86_64", "x86_64-manylinux2014"),
        ("cp311", "manylinux2014_x86_64", "x86_64-manylinux2014"),
        ("cp311", "manylinux_2_17_aarch64", "aarch64-manylinux2014"),
        ("cp311", "manylinux_2_24_x86_64", "x86_64-manylinux_2_28"),
        ("cp311", "manylinux_2_26_x86_64", "x86_64-manylinux_2_28"),
        ("cp312", "manylinux_2_28_x86_64", "x86_64-manylinux_2_28"),
        ("cp312", "manylinux_2_30_x86_64", "x86_64-manylinux_2_31"),
        ("cp313", "manylinux_2_34_aarch64", "aarch64-manylinux_2_34"),
    ],
)
def test_the_least_platform_of_uv_that_loads_all_the_target_does(python: str, platform: str, expected: str) -> None:
    assert platform_for(target_for(python, platform=platform)) == expected


def test_a_platform_for_another_glibc() -> None:
    target = target_for("cp311", architecture="x86_64")
    assert platform_for(target, (2, 40)) == "x86_64-manylinux_2_40"
    assert platform_for(target, (2, 99)) == "x86_64-manylinux_2_40"


def test_nothing_of_the_machine_leaks_in() -> None:
    env = {
        "HOME": "/h",
        "PATH": "/p",
        "HTTPS_PROXY": "http://proxy",
        "NETRC": "/n",
        "UV_CACHE_DIR": "/c",
        "UV_HTTP_TIMEOUT": "9",
        "UV_FIND_LINKS": "/w",
        "UV_PRERELEASE": "allow",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_CONSTRAINT": "/c.txt",
        "PIP_FIND_LINKS": "/w",
        "VIRTUAL_ENV": "/v",
        "UV_DEFAULT_INDEX": "https://me:pw@a.invalid/simple",
        "PIP_EXTRA_INDEX_URL": "https://b.invalid/simple https://c.invalid/simple",
        "REQUESTS_CA_BUNDLE": "/ca.pem",
    }
    assert environment(from_environment(env), env) == {
        "HOME": "/h",
        "PATH": "/p",
        "HTTPS_PROXY": "http://proxy",
        "NETRC": "/n",
        "UV_CACHE_DIR": "/c",
        "UV_HTTP_TIMEOUT": "9",
        "UV_DEFAULT_INDEX": "https://me:pw@a.invalid/simple",
        "UV_INDEX": "https://b.invalid/simple https://c.invalid/simple",
        "REQUESTS_CA_BUNDLE": "/ca.pem",
        "SSL_CERT_FILE": "/ca.pem",
        "NO_COLOR": "1",
    }


def test_the_recipes_indexes_come_first_and_their_passwords_apart() -> None:
    own = Index(name="own", url="https://own.invalid/simple", packages=("foo",))
    far = Index(name="far", url="https://far.invalid/simple", packages=("bar",))
    env = {
        "LAMINA_INDEX_OWN": "https://me:p%2Fw@mirror.invalid/simple",
        "UV_INDEX_FAR_USERNAME": "other",
        "UV_INDEX": "https://b.invalid/simple",
        "SSL_CERT_DIR": "/certs",
    }
    assert environment(from_environment(env, named=[own, far]), env, "file:///tree") == {
        "UV_INDEX": "file:///tree https://b.invalid/simple",
        "UV_INDEX_LAMINA_0_USERNAME": "me",
        "UV_INDEX_LAMINA_0_PASSWORD": "p/w",
        "UV_INDEX_LAMINA_1_USERNAME": "other",
        "UV_INDEX_LAMINA_1_PASSWORD": "",
        "SSL_CERT_DIR": "/certs",
        "NO_COLOR": "1",
    }


def test_a_folder_of_authorities(tmp_path: Path) -> None:
    env = {"SSL_CERT_DIR": "/others", "PIP_CERT": str(tmp_path)}
    assert environment(from_environment(env), env) == {"SSL_CERT_DIR": str(tmp_path), "NO_COLOR": "1"}


def test_versions_and_who_needs_them() -> None:
    stdout = """\
awscrt==0.38.0
    # via botocore
botocore[crt]==1.44.5
    # via
    #   -c constraints.txt
    #   boto3[crt]
    #   S3_Transfer
boto3[crt]==1.44.5
torch==2.13.0+cpu
    # via -r -
"""
    stderr = """\
warning: `awscrt==0.38.0` is yanked (reason: "oops")
warning: The requested Python version 3.9 is not available
Resolved 4 packages in 1ms
"""
    assert parse(stdout, stderr) == Answer(
        {"awscrt": "0.38.0", "botocore": "1.44.5", "boto3": "1.44.5", "torch": "2.13.0+cpu"},
        {
            "awscrt": frozenset({"botocore"}),
            "botocore": frozenset({"boto3", "s3-transfer"}),
            "boto3": frozenset(),
            "torch": frozenset(),
        },
        frozenset({"botocore", "boto3"}),
        ('`awscrt==0.38.0` is yanked (reason: "oops")',),
    )


UNREACHABLE = """\
error: Request failed after 3 retries in 9.3s
  cause: Failed to fetch: http://127.0.0.1:9/simple/numpy/
  cause: error sending request for url (http://127.0.0.1:9/simple/numpy/)
  cause: tcp connect error
  cause: Connection refused (os error 111)
"""
UNKNOWN = """\
error: No solution found when resolving dependencies
  cause: Because zope-interface was not found in the cache and you require zope-interface, we can conclude that your requirements are unsatisfiable.

hint: Packages were unavailable because the network was disabled. When the network is disabled, registry packages may only be read from the cache.
"""
UNAUTHORIZED = """\
error: No solution found when resolving dependencies
  cause: Because numpy was not found in the package registry and you require numpy, we can conclude that your requirements are unsatisfiable.

hint: An index URL (http://a.invalid/simple) could not be queried due to a lack of valid authentication credentials (401 Unauthorized)
"""
CLOSED = """\
error: Failed to fetch: http://a.invalid/files/numpy.whl
  cause: HTTP status client error (401 Unauthorized) for url (http://a.invalid/files/numpy.whl)
"""
FORBIDDEN = """\
error: No solution found when resolving dependencies
  cause: Because numpy was not found in the package registry and you require numpy, we can conclude that your requirements are unsatisfiable.

hint: An index (http://a.invalid/simple) returned a 403 Forbidden error. Check that the index URL is correct and the credentials are valid.
"""


@pytest.mark.parametrize(
    ("stderr", "message", "hint"),
    [
        (
            UNREACHABLE,
            "Failed to fetch: http://127.0.0.1:9/simple/numpy/: Connection refused (os error 111)",
            "Check that the index can be reached from here (proxy, firewall, SSL_CERT_FILE), and run it again.",
        ),
        (
            UNKNOWN,
            "offline, and the index was never asked about zope-interface",
            "Run the command once without --offline.",
        ),
        (
            UNAUTHORIZED,
            "http://a.invalid/simple: the index refuses access (401)",
            "Put user and password into the index URL in the environment, or into netrc for its host.",
        ),
        (
            CLOSED,
            "Failed to fetch: http://a.invalid/files/numpy.whl: HTTP status client error (401 Unauthorized) for url (http://a.invalid/files/numpy.whl)",
            "Put user and password into the index URL in the environment, or into netrc for its host.",
        ),
        (
            FORBIDDEN,
            "http://a.invalid/simple: the index refuses access (403)",
            "Check the index URL, and that the credentials may read there.",
        ),
    ],
)
def test_the_indexs_faults_are_told_from_impossible_requirements(stderr: str, message: str, hint: str) -> None:
    with pytest.raises(IndexAccessError) as caught:
        raise_for_index(stderr)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_conflict_is_no_fault_of_the_index() -> None:
    raise_for_index(
        "error: No solution found when resolving dependencies\n  cause: Because you require numpy<2 and numpy>=2"
    )
