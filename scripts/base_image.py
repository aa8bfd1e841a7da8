"""Make a stand-in for AWS's base image, where no public image can be pulled: Debian 12's CPython 3.11 in AWS's layout.

``python scripts/base_image.py lamina-standin:3.11`` needs root, Debian's debootstrap and an engine (DOCKER_HOST), and
takes a minute. It proves lamina's way with an engine, and nothing of Lambda: glibc, OpenSSL and SQLite are Debian's.
"""

from __future__ import annotations

import argparse
import subprocess
import tarfile
import tempfile
from pathlib import Path

_SUITE, _PYTHON = "bookworm", "python3.11"
_PACKAGES = "python3,ca-certificates"
#: What is installed is thrown away: dpkg need not wait for the disk, nor apt fetch translations.
_QUICK = {
    "etc/dpkg/dpkg.cfg.d/unsafe-io": "force-unsafe-io\n",
    "etc/apt/apt.conf.d/languages": 'Acquire::Languages "none";\n',
}
#: The variables of AWS's images that a function depends on: AWS Lambda developer guide, page configuration-envvars.
_ENVIRONMENT = {
    "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
    "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
    "LAMBDA_TASK_ROOT": "/var/task",
    "LAMBDA_RUNTIME_DIR": "/var/runtime",
}
#: As AWS's has it: one argument, the handler; the emulator where no Runtime API is named.
_ENTRY = f"""#!/bin/sh
if [ $# -ne 1 ]; then
  echo "entrypoint requires the handler name to be the first argument" 1>&2
  exit 142
fi
export PYTHONPATH=/opt/python:/var/runtime
if [ -z "$AWS_LAMBDA_RUNTIME_API" ]; then
  exec /usr/local/bin/aws-lambda-rie /var/lang/bin/{_PYTHON} -m awslambdaric "$1"
fi
exec /var/lang/bin/{_PYTHON} -m awslambdaric "$1"
"""
#: Stands in for AWS's emulator: a Runtime API for the client that it starts, and the Invoke API on port 8080, or on
#: STANDIN_PORT's where a test shares the machine's network with others.
_EMULATOR = f"""#!/var/lang/bin/{_PYTHON}
import os, queue, subprocess, sys, threading, uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

work, answers = queue.Queue(), {{}}

class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def say(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

class Runtime(Server):
    def do_GET(self):
        request, event = work.get()
        arn = "arn:aws:lambda:us-east-1:012345678912:function:function"
        self.say(200, event, Content_Type="application/json", Lambda_Runtime_Aws_Request_Id=request,
                 Lambda_Runtime_Deadline_Ms="9999999999999", Lambda_Runtime_Invoked_Function_Arn=arn,
                 Lambda_Runtime_Trace_Id="Root=1-0-0")

    def do_POST(self):
        answers[self.path.split("/")[-2]].put(self.body())
        self.say(202)

class Invoke(Server):
    def do_POST(self):
        request = str(uuid.uuid4())
        answers[request] = queue.Queue()
        work.put((request, self.body()))
        self.say(200, answers[request].get())

api = ThreadingHTTPServer(("127.0.0.1", 9001), Runtime)
threading.Thread(target=api.serve_forever, daemon=True).start()
subprocess.Popen(sys.argv[1:], env={{**os.environ, "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001"}})
ThreadingHTTPServer(("", int(os.environ.get("STANDIN_PORT", "8080"))), Invoke).serve_forever()
"""


def main() -> None:
    """Bootstrap, lay out, import."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reference", help="name:tag of the image")
    name, _, tag = parser.parse_args().reference.rpartition(":")
    with tempfile.TemporaryDirectory(prefix="lamina-base-image-") as folder:
        root = Path(folder) / "root"
        for path, text in _QUICK.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _SUITE, str(root)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        _lay_out(root)
        archive = Path(folder) / "root.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(root, ".", filter=_kept)
        print(_imported(archive, name, tag))


def _lay_out(root: Path) -> None:
    for path in ("opt", "var/task", "var/runtime", f"var/lang/lib/{_PYTHON}/site-packages", "var/lang/bin"):
        (root / path).mkdir(parents=True, exist_ok=True)
    (root / "var/lang/bin" / _PYTHON).symlink_to(f"/usr/bin/{_PYTHON}")
    for path, text in (("lambda-entrypoint.sh", _ENTRY), ("usr/local/bin/aws-lambda-rie", _EMULATOR)):
        (root / path).write_text(text)
        (root / path).chmod(0o755)


def _kept(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """What an image needs: no devices, no packages that were downloaded, no lists of them."""
    unwanted = ("./dev/", "./proc/", "./sys/", "./var/cache/apt/", "./var/lib/apt/lists/", "./debootstrap/")
    return None if info.name.startswith(unwanted) else info


def _imported(archive: Path, name: str, tag: str) -> str:
    import docker

    client = docker.from_env(timeout=300)
    try:
        changes = ["WORKDIR /var/task", 'ENTRYPOINT ["/lambda-entrypoint.sh"]']
        changes += [f"ENV {name}={value}" for name, value in _ENVIRONMENT.items()]
        client.api.import_image(src=str(archive), repository=name, tag=tag, changes=changes)
        return str(client.images.get(f"{name}:{tag}").id)
    finally:
        client.close()


if __name__ == "__main__":
    main()
