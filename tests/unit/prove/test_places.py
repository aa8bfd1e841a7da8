"""Where things stand, and the environment that follows."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamina.prove import places
from lamina.prove.inside.start import search_path
from lamina.runtimes import runtimes

RUNTIME = next(runtime for runtime in runtimes() if runtime.name == "python3.11")


def test_from_3_11_on_the_sdk_stands_beside_the_interpreter() -> None:
    assert places.lambdas((3, 11), beside=True).standin == ("/var/lang/lib/python3.11/site-packages", "/var/runtime")
    assert places.lambdas((3, 10), beside=True).standin == ("/var/runtime",)
    assert places.lambdas((3, 11), beside=False).standin == ("/var/runtime",)


def test_libraries_of_the_system_stay_before_those_of_a_layer() -> None:
    found = places.environment(RUNTIME, places.lambdas((3, 11), beside=True), ("/lib/x86_64-linux-gnu", "/usr/lib64"))
    assert found["LD_LIBRARY_PATH"] == (
        "/var/lang/lib:/lib/x86_64-linux-gnu:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib"
    )
    assert found["PATH"] == "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin"


def test_a_plain_process_has_the_places_of_the_host() -> None:
    where = places.plain(Path("/a/task"), Path("/a/opt"), Path("/a/sdk"), Path("/a/python"))
    found = places.environment(RUNTIME, where, ("/lib",))
    assert found["LD_LIBRARY_PATH"] == "/a/python/lib:/lib:/a/sdk:/a/sdk/lib:/a/task:/a/task/lib:/a/opt/lib"
    assert found["LAMBDA_TASK_ROOT"] == "/a/task"
    assert where.layout((3, 11)) == {
        "task": ["/a/task"],
        "opt": ["/a/opt/python/lib/python3.11/site-packages", "/a/opt/python"],
        "runtime": ["/a/sdk"],
    }


def test_without_a_layer_nothing_of_opt_is_searched() -> None:
    where = places.plain(Path("/a/task"), None, Path("/a/sdk"), Path("/a/python"))
    assert where.layout((3, 11))["opt"] == []
    assert where.placed("/opt/bin") == "/opt/bin"


@pytest.mark.parametrize(("path", "placed"), [("/optional", "/optional"), ("/opt", "/x"), ("/opt/lib", "/x/lib")])
def test_only_lambdas_own_folders_are_placed(path: str, placed: str) -> None:
    assert places.Places("/t", "/x", "/r", "/l", ()).placed(path) == placed


def test_the_search_path_is_in_lambdas_order() -> None:
    layout = {"task": ["/var/task"], "opt": ["/opt/a", "/opt/b"], "runtime": ["/var/runtime"]}
    assert search_path(layout, ["/std"], None) == (
        ["/var/task", "/opt/a", "/opt/b", "/var/runtime", "/std"],
        ["/var/task", "/opt/a", "/opt/b"],
    )
    assert search_path(layout, ["/std"], "/own::/more") == (
        ["/var/task", "/own", "/more", "/var/runtime", "/std"],
        ["/var/task"],
    )
