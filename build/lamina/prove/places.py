"""Where things stand for a job, and the environment that follows: Lambda's own places, or those of a plain process."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from lamina.runtimes import Runtime

#: From this version on the runtime has the AWS SDK beside the interpreter, before in ``/var/runtime``: PLATFORM facts
#: of https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html.
_BESIDE_INTERPRETER = (3, 11)


class Places(NamedTuple):
    """Folders as a job sees them. ``lang`` is the interpreter's; ``standin`` what the runtime has, in two places."""

    task: str
    opt: str
    runtime: str
    lang: str
    standin: tuple[str, ...]

    def layout(self, python: tuple[int, int]) -> dict[str, list[str]]:
        """The search path without the standard library, as :mod:`lamina.prove.inside.start` takes it."""
        version = "{}.{}".format(*python)
        opt = [f"{self.opt}/python/lib/python{version}/site-packages", f"{self.opt}/python"] if self.opt else []
        return {"task": [self.task], "opt": opt, "runtime": list(self.standin)}

    def placed(self, path: str) -> str:
        """A folder of Lambda's, as it is called here."""
        for lambdas, ours in (
            ("/opt", self.opt),
            ("/var/task", self.task),
            ("/var/runtime", self.runtime),
            ("/var/lang", self.lang),
        ):
            if path == lambdas or path.startswith(f"{lambdas}/"):
                return ours + path.removeprefix(lambdas) if ours else path
        return path


def lambdas(python: tuple[int, int], *, beside: bool) -> Places:
    """The places of a job in namespaces or a container.

    ``beside`` tells that the interpreter has a ``site-packages``, over which the stand-in can be laid.
    """
    site = "/var/lang/lib/python{}.{}/site-packages".format(*python)
    if beside and python >= _BESIDE_INTERPRETER:
        return Places("/var/task", "/opt", "/var/runtime", "/var/lang", (site, "/var/runtime"))
    return Places("/var/task", "/opt", "/var/runtime", "/var/lang", ("/var/runtime",))


def plain(task: Path, opt: Path | None, runtime: Path, lang: Path) -> Places:
    """The places of a job that is a plain process: those of the host."""
    return Places(str(task), str(opt) if opt else "", str(runtime), str(lang), (str(runtime),))


def environment(runtime: Runtime, places: Places, system_folders: tuple[str, ...]) -> dict[str, str]:
    """The environment that Lambda documents, without what belongs to one invocation or one function.

    ``system_folders`` are where this host keeps its own libraries (``/lib/x86_64-linux-gnu``). They stand where
    Lambda's ``/lib64`` and ``/usr/lib64`` do: so a library of the system is found before one of the same name in
    ``/opt/lib``, here as there, and never the reverse.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html. ``PYTHONPATH`` is left out, as
    awslambdaric takes it as the function's own; the region is one that every service has.
    """
    path: list[str] = []
    for folder in runtime.library_path:
        path += system_folders if folder in runtime.system_folders else [places.placed(folder)]
    return {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{runtime.name}",
        "AWS_REGION": "us-east-1",
        "LAMBDA_RUNTIME_DIR": places.runtime,
        "LAMBDA_TASK_ROOT": places.task,
        "LANG": "en_US.UTF-8",
        "LD_LIBRARY_PATH": ":".join(dict.fromkeys(path)),
        "PATH": f"{places.lang}/bin:/usr/local/bin:/usr/bin/:/bin:{places.placed('/opt/bin')}",
        "TZ": ":UTC",
    }
