"""Starts a job as Lambda's runtime starts a function: with its search path, and nothing of the host's.

It is run as ``python -s -S -B start.py LAYOUT ARGUMENT…``; LAYOUT is JSON with the keys ``task``, ``opt`` and
``runtime`` (lists of folders), ARGUMENT what would follow ``python``: ``-c CODE``, ``-m MODULE`` or a script.

Source of the path: ``lambda_runtime_bootstrap.py`` of aws/aws-lambda-base-images, as PYTHONPATH empties the layers'
folders there, and folders of ``.pth`` files are those of function and layers.
"""

from __future__ import annotations

import os
import sys


def search_path(layout: dict[str, list[str]], own: list[str], stated: str | None) -> tuple[list[str], list[str]]:
    """The search path, and those of its folders whose ``.pth`` files count.

    ``own`` is where the standard library stands, ``stated`` the function's ``PYTHONPATH``, ``None`` without one.
    """
    opt = layout["opt"] if stated is None else []
    given = [] if stated is None else [folder for folder in stated.split(os.pathsep) if folder]
    return [*layout["task"], *opt, *given, *layout["runtime"], *own], [*layout["task"], *opt]


def _own() -> list[str]:
    """The standard library's folders, which follow the script's and those of PYTHONPATH."""
    library = os.path.dirname(os.__file__)  # noqa: PTH120 - pathlib would be there before the job starts
    archive = "python{}{}.zip".format(*sys.version_info)
    return [path for path in sys.path if path in {library, f"{library}/lib-dynload"} or path.endswith(archive)]


def main() -> None:
    """Set the path, read ``.pth`` files, and become what was asked for."""
    import json

    layout, arguments = json.loads(sys.argv[1]), sys.argv[2:]
    sys.path, folders = search_path(layout, _own(), os.environ.get("PYTHONPATH"))
    import site  # under -S it does nothing by itself

    site.setquit()
    site.setcopyright()
    site.sethelper()
    for folder in folders:
        site.addsitedir(folder, set(sys.path))
    del sys.modules["json"]
    _become(arguments)


def _become(arguments: list[str]) -> None:
    import runpy

    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    elif arguments[0] == "-c":
        sys.argv = ["-c", *arguments[2:]]
        main_module = type(sys)("__main__")
        main_module.__dict__["__builtins__"] = __builtins__
        sys.modules["__main__"] = main_module
        exec(compile(arguments[1], "<string>", "exec"), main_module.__dict__)  # noqa: S102 - it is what -c is
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    main()
