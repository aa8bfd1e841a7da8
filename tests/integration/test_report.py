"""``lamina report`` on a layer that was built, and its page as a real browser shows it."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jsonschema
import pytest

from lamina.report.machine import schema

TARGET = "cp311-manylinux2014_x86_64"
NAME = f"forged-{TARGET}"
PROOF = '\n[proof]\nimports = ["alpha.m0", "beta.m1"]\n'
HOSTILE = '"><script>document.title="owned"</script><img src="http://127.0.0.1:9/x" onerror="alert(1)">'


class Forged(Protocol):
    """What ``forge_project`` makes."""

    root: Path
    output: Path

    def build(self, store: Path, **more: str) -> str:
        """Build it."""

    @property
    def environment(self) -> Callable[..., dict[str, str]]:
        """Its environment."""


class Built(NamedTuple):
    """A project of forged wheels, built; ``earlier`` is its manifest before the last build."""

    root: Path
    env: dict[str, str]
    earlier: Path

    def report(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command in the project."""
        command = [sys.executable, "-m", "lamina", "report", *arguments]
        return subprocess.run(
            command, cwd=self.root, env=self.env, capture_output=True, text=True, timeout=300, check=False
        )

    def page(self, file: str = "page.html") -> Path:
        """Write a page without a measure of imports."""
        done = self.report("forged", "--no-imports", "--quiet", "-o", file)
        assert (done.returncode, done.stderr) == (0, "")
        return self.root / file


@pytest.fixture(scope="module")
def built(
    tmp_path_factory: pytest.TempPathFactory,
    forge_project: Callable[[Path], Forged],
    shared_store: Path,
    python311: str,
) -> Built:
    """The project, built with everything and then without its largest files."""
    del python311
    project = forge_project(tmp_path_factory.mktemp("report") / "project")
    project.build(shared_store)
    earlier = project.root / "earlier.json"
    shutil.copy(project.output / f"{NAME}.json", earlier)
    recipe = project.root / "recipes" / "forged.toml"
    recipe.write_text(f'{recipe.read_text()}\n[prune]\ndrop = ["alpha/m4.py"]\n{PROOF}')
    project.build(shared_store)
    return Built(project.root, project.environment(shared_store), earlier)


def test_the_terminal_tells_bytes_reasons_and_the_time_of_imports(index: None, built: Built) -> None:
    del index  # what the runtime has beside the standard library comes from it
    done = built.report("forged")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"forged for {TARGET} (python3.11, x86_64)"
    assert lines[1] == "  built; not proven yet"
    assert "3 packages" in done.stdout
    assert any(line.startswith("  prune.drop") and line.endswith(" in 1 file") for line in lines)
    assert "  every decision: lamina explain forged" in lines
    assert f"proofs: none; lamina prove forged --target {TARGET}" in lines
    assert "  gamma  MIT License" in lines
    [told] = [line for line in lines if line.startswith("imports: ")]
    assert " without bytecode (" in told
    assert told.endswith(" times as fast)")
    assert any("  alpha.m0, was " in line for line in lines)


def test_machines_get_the_same_by_the_schema(built: Built) -> None:
    done = built.report("forged", "--json", "--no-imports", "--against", str(built.earlier))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    jsonschema.validate({"report": told}, schema())
    [report] = told
    manifest = json.loads((built.root / "dist" / f"{NAME}.json").read_bytes())
    assert {one["name"]: one["shipped_bytes"] for one in report["packages"]} == {
        one["name"]: one["shipped_bytes"] for one in manifest["packages"]
    }
    kinds = [one for package in report["packages"] for one in package["kinds"]] + report["rest"]
    assert sum(one["bytes"] for one in kinds) == manifest["unzipped_bytes"]
    assert sum(one["files"] for one in kinds) == manifest["entries"]
    assert report["budget"]["shares"] == [{"label": "this layer", "bytes": manifest["unzipped_bytes"]}]
    assert report["bytecode"]["bytes"] == sum(one.get("bytecode_bytes", 0) for one in manifest["packages"]) > 0
    assert [one["package"] for one in report["changes"]["packages"]] == ["alpha"]
    assert report["imports"] is None


def test_a_pull_request_gets_what_changed(built: Built) -> None:
    done = built.report("forged", "--markdown", "--no-imports", "--against", str(built.earlier))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"### ⚠️ `forged` for `{TARGET}`: built; not proven yet\n")
    assert f"**Against** `{built.earlier}`: different" in done.stdout
    assert "| `alpha` | `1.0` | " in done.stdout


def test_the_page_stands_beside_the_artefact_or_where_it_is_wanted(built: Built, page: Path) -> None:
    done = built.report("forged", "--html", "--no-imports", "--quiet")
    assert (done.returncode, done.stdout) == (0, f"forged for {TARGET}: dist/{NAME}.report.html\n")
    beside = (built.root / "dist" / f"{NAME}.report.html").read_text()
    assert beside == page.read_text()
    assert beside.startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["forged", "--html", "--json"], "--markdown, --html and --json exclude each other\nGive one of them.\n"),
        (
            ["forged", "-o", "report.pdf"],
            (
                "-o report.pdf: its ending does not tell what to write\n"
                "Use .html, .md, .json, .txt, or give --html, --markdown or --json as well.\n"
            ),
        ),
        (
            ["forged", "--output", "nowhere"],
            (
                f"nowhere/{NAME}.json: there is no such manifest, so there is nothing to report on\n"
                f"Build it first: lamina build forged --target {TARGET}\n"
            ),
        ),
        (
            ["forged", "--no-imports", "--against", "none.json"],
            "none.json: no such file\nName a layer zip, an image archive or a manifest (.json).\n",
        ),
    ],
)
def test_what_cannot_be_told_ends_with_what_to_do(built: Built, arguments: list[str], said: str) -> None:
    done = built.report(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(f"error: {said}")


def test_another_recipe_than_the_one_that_was_built_is_told_apart(built: Built) -> None:
    recipe = built.root / "recipes" / "forged.toml"
    text = recipe.read_text()
    try:
        recipe.write_text(text.replace('drop = ["alpha/m4.py"]', "drop = []"))
        done = built.report("forged", "--no-imports", "--quiet")
    finally:
        recipe.write_text(text)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: dist/{NAME}.zip: was built from another recipe or lock than stands here now\n"
        f"Build it again: lamina build forged --target {TARGET}\n"
    )


def test_of_a_build_that_failed_the_report_tells_where_the_bytes_are(built: Built, shared_store: Path) -> None:
    recipe = built.root / "recipes" / "forged.toml"
    text = recipe.read_text()
    try:
        recipe.write_text(f'{text}\n[budget]\nunzipped = "50 kB"\nwarn = "40 kB"\n')
        command = [sys.executable, "-m", "lamina", "build", "forged", "--offline", "--output", "failed"]
        env = {**built.env, "LAMINA_CACHE": str(shared_store)}
        assert subprocess.run(command, cwd=built.root, env=env, capture_output=True, check=False).returncode == 1
        done = built.report("forged", "--output", "failed")
    finally:
        recipe.write_text(text)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[1] == "  not built: 1 error"
    assert "    sha256 none: it was not made" in lines
    assert any(line.endswith(" above the budget (50,000 bytes)") for line in lines)
    assert any(line.startswith("    error  over-budget") for line in lines)
    assert not any(line.startswith("imports") for line in lines)


def test_a_failed_import_is_told_in_its_place(index: None, built: Built) -> None:
    del index
    recipe = built.root / "recipes" / "forged.toml"
    text = recipe.read_text()
    try:
        recipe.write_text(text.replace('"alpha.m0"', '"alpha.nothing"'))
        done = built.report("forged")
        [told] = [line for line in done.stdout.splitlines() if line.startswith("imports: ")]
        assert told == (
            "imports: not measured: import alpha.nothing, beta.m1: ModuleNotFoundError: No module named "
            "'alpha.nothing'. See which import fails: lamina prove runs each for itself."
        )
    finally:
        recipe.write_text(text)


@pytest.fixture(scope="module")
def page(built: Built) -> Path:
    """The page of the project."""
    return built.page()


class Browser:
    """Headless Chromium, spoken to through a pipe: https://chromedevtools.github.io/devtools-protocol/."""

    def __init__(self, program: str, folder: Path) -> None:
        import fcntl  # which Windows lacks

        reads, self._writes = os.pipe()
        self._reads, writes = os.pipe()

        def to_three_and_four() -> None:  # where the browser looks for them
            ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 50) for end in (reads, writes)]
            for end, number in zip(ends, (3, 4), strict=True):
                os.dup2(end, number)

        command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += ["--remote-debugging-pipe", f"--user-data-dir={folder}", "about:blank"]
        self._process = subprocess.Popen(
            command,
            pass_fds=(3, 4),
            preexec_fn=to_three_and_four,  # noqa: PLW1509 - calls of the kernel alone, which wait for no thread
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(reads)
        os.close(writes)
        self._session, self._number, self._left = "", 0, b""
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(30)
        os.close(self._writes)
        os.close(self._reads)

    def _read(self) -> dict[str, Any]:
        until = time.monotonic() + 60
        while b"\0" not in self._left:
            ready, _, _ = select.select([self._reads], [], [], max(0.0, until - time.monotonic()))
            assert ready, "the browser does not answer"
            chunk = os.read(self._reads, 1 << 20)
            assert chunk, "the browser ended"
            self._left += chunk
        message, _, self._left = self._left.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Run a command; events that come meanwhile are kept."""
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._writes, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def show(self, page: Path, width: int, scheme: str, media: str = "screen") -> None:
        """Open a page; what it asks for, says and breaks is in ``events`` then."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)
        self.events.clear()
        self.call("Page.navigate", url=page.as_uri())
        while "Page.loadEventFired" not in self.seen():
            self.events.append(self._read())

    def seen(self) -> list[str]:
        """The names of the events."""
        return [event.get("method", "") for event in self.events]

    def asked(self) -> list[str]:
        """All addresses that were asked for."""
        sent = [event["params"] for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return [one["request"]["url"] for one in sent]

    def evaluate(self, expression: str) -> Any:  # noqa: ANN401 - whatever the page answers
        """The value of an expression in the page."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser for all pages here."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("LEFT OUT: reports in a browser: chromium is not installed (Debian: chromium)")
    with contextlib.closing(Browser(program, tmp_path_factory.mktemp("chromium"))) as running:
        yield running


#: Texts of drawings that stand outside of what they are drawn in, and so are cut off; those that overlap another.
CLIPPED = """
[...document.querySelectorAll("svg text")].filter(text => {
  const own = text.getBoundingClientRect(), box = text.parentElement.getBoundingClientRect();
  return own.width && (own.left < box.left - 1 || own.right > box.right + 1 || own.bottom > box.bottom + 2);
}).map(text => text.textContent)
"""
OUTSIDE = """
[...document.querySelectorAll("main *")].filter(one => {
  if (one.closest(".scroll") || one.closest("svg")) return false;
  const box = one.getBoundingClientRect();
  return box.width && (box.left < 0 || box.right > innerWidth);
}).map(one => one.tagName + " " + one.textContent.slice(0, 60))
"""
SHOWN = """[...document.querySelectorAll("svg.map")].filter(map => map.getBoundingClientRect().width).length"""


@pytest.mark.parametrize("width", [1280, 400, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_whole_in_a_browser(browser: Browser, page: Path, scheme: str, width: int) -> None:
    browser.show(page, width, scheme)
    assert browser.asked() == [page.as_uri()]
    assert not {"Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"} & {*browser.seen()}
    browser.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert browser.evaluate("document.documentElement.scrollWidth") == width
    assert browser.evaluate(OUTSIDE) == []
    assert browser.evaluate(CLIPPED) == []
    assert browser.evaluate(SHOWN) == 1
    ground = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(251, 251, 249)", "dark": "rgb(23, 24, 26)"}[scheme]
    assert browser.evaluate("document.querySelector('h1').innerText") == f"forged\n{TARGET}, python3.11 on x86_64"
    picture = base64.b64decode(browser.call("Page.captureScreenshot", format="png")["data"])
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000  # a page without its style has a fifth of that


def test_rectangles_in_the_browser_have_the_areas_of_their_bytes(browser: Browser, built: Built, page: Path) -> None:
    browser.show(page, 1280, "light")
    areas = browser.evaluate(
        """[...document.querySelectorAll("svg.map.wide > svg")].map(tile => {
          const box = tile.getBoundingClientRect();
          return [tile.querySelector("title").textContent.split(" ")[0], box.width * box.height];
        })"""
    )
    manifest = json.loads((built.root / "dist" / f"{NAME}.json").read_bytes())
    sizes = {one["name"]: one["shipped_bytes"] for one in manifest["packages"]}
    per_byte = [area / sizes[name] for name, area in areas if name in sizes]
    assert len(per_byte) == 3
    assert max(per_byte) / min(per_byte) < 1.02


def test_on_paper_the_page_is_black_on_white(browser: Browser, page: Path) -> None:
    browser.show(page, 800, "dark", media="print")
    shown = browser.evaluate("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")
    assert shown == ["rgb(255, 255, 255)", "rgb(0, 0, 0)"]


def test_what_a_manifest_says_runs_nothing_and_asks_for_nothing(browser: Browser, built: Built) -> None:
    path = built.root / "dist" / f"{NAME}.json"
    text = path.read_bytes()
    manifest = json.loads(text)
    finding = {"code": HOSTILE, "severity": "note", "path": HOSTILE, "message": HOSTILE, "hint": HOSTILE}
    manifest["findings"] = [{**finding, "accepted": False}]
    manifest["proofs"] = [{"kind": HOSTILE, "where": HOSTILE, "passed": True, "detail": HOSTILE}]
    try:
        path.write_text(json.dumps(manifest))
        page = built.page("hostile.html")
    finally:
        path.write_bytes(text)
    browser.show(page, 1280, "light")
    assert browser.asked() == [page.as_uri()]
    assert browser.evaluate("document.title") == f"forged for {TARGET}"
    assert browser.evaluate("document.querySelectorAll('script, img').length") == 0
    assert HOSTILE in browser.evaluate("document.querySelector('.finding').innerText")
    assert "Page.javascriptDialogOpening" not in browser.seen()
