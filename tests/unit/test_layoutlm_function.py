"""The parts of layers/layoutlm/function that need no torch: which run is the newest, its files, and pages in events."""

from __future__ import annotations

import datetime as dt
import importlib.util
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FUNCTION = Path(__file__).resolve().parents[2] / "layers" / "layoutlm" / "function"


def module(name: str) -> ModuleType:
    """A module of the function, under a name of its own."""
    spec = importlib.util.spec_from_file_location(f"layoutlm_{name}", FUNCTION / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    return made


runs, page = module("runs"), module("page")
NOON = dt.datetime(2026, 11, 2, 12, 0, 0, tzinfo=dt.UTC)


class ClientError(Exception):
    """As botocore's."""

    def __init__(self, code: str) -> None:
        self.response = {"Error": {"Code": code}}


class Body(io.BytesIO):
    """As botocore's StreamingBody."""

    def iter_chunks(self, size: int) -> Iterator[bytes]:
        return iter(lambda: self.read(size), b"")


class S3:
    """As much of S3 as the function uses; ``pages`` keys a listing are told at once."""

    class exceptions:  # noqa: N801 - as boto3's clients have it
        ClientError = ClientError

    def __init__(self, objects: dict[str, tuple[bytes, dt.datetime]], pages: int = 2) -> None:
        self.objects, self.pages, self.asked, self.short = objects, pages, [], 0  # type: ignore[var-annotated]

    def get_paginator(self, name: str) -> S3:
        assert name == "list_objects_v2"
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        assert (Bucket, Prefix) == ("models", "runs/")
        rows = [
            {"Key": key, "ETag": f'"{key}"', "LastModified": when, "Size": len(data)}
            for key, (data, when) in sorted(self.objects.items())
            if key.startswith(Prefix)
        ]
        yield from ({"Contents": rows[start : start + self.pages]} for start in range(0, len(rows), self.pages))
        yield {}

    def get_object(self, *, Bucket: str, Key: str, IfMatch: str | None = None) -> dict[str, Any]:  # noqa: N803
        assert Bucket == "models"
        self.asked.append(Key)
        if Key not in self.objects:
            raise ClientError("NoSuchKey")
        if IfMatch not in {None, f'"{Key}"'}:
            raise ClientError("PreconditionFailed")
        data = self.objects[Key][0]
        return {"ContentLength": len(data), "Body": Body(data[: len(data) - self.short])}


def bucket(*names: str, when: dt.datetime = NOON) -> S3:
    """Runs with all their files."""
    files = {"model.safetensors": b"weights", "config.json": b"{}", "tokenizer.json": b"[]"}
    return S3({f"runs/{name}/best/{file}": (data, when) for name in names for file, data in files.items()})


def test_the_newest_run_is_the_one_written_last_whatever_its_name() -> None:
    s3 = bucket("a", "b", "c")
    s3.objects["runs/a/best/model.safetensors"] = (b"newer", NOON + dt.timedelta(seconds=1))
    newest = runs.newest(runs.in_bucket(s3, "models"), "s3://models")
    assert newest == runs.Run(
        "a",
        "runs/a/best/model.safetensors",
        '"runs/a/best/model.safetensors"',
        NOON + dt.timedelta(seconds=1),
        5,
    )


def test_of_runs_of_one_second_the_greater_name_counts() -> None:
    s3 = bucket("2026-11-01", "2026-11-02", "2026-10-30")
    s3.objects["runs/2026-10-30/best/model.safetensors"] = (b"x", NOON + dt.timedelta(milliseconds=900))
    assert runs.newest(runs.in_bucket(s3, "models"), "s3://models").name == "2026-11-02"


@pytest.mark.parametrize(
    "key",
    [
        "runs/a/last/model.safetensors",
        "runs/a/best/model.safetensors.tmp",
        "runs/a/b/best/model.safetensors",
        "runs/best/model.safetensors",
        "runs/a/best/pytorch_model.bin",
        "old/runs/a/best/model.safetensors",
    ],
)
def test_what_is_no_run_is_not_taken_for_one(key: str) -> None:
    with pytest.raises(runs.RunError) as caught:
        runs.newest(runs.in_bucket(S3({key: (b"x", NOON)}), "models"), "s3://models")
    message = "s3://models: there is no runs/*/best/model.safetensors; upload a run, or name another place"
    assert str(caught.value) == message


def test_runs_in_a_folder(tmp_path: Path) -> None:
    for name, seconds in (("a", 2_000), ("b", 1_000)):
        place = tmp_path / "runs" / name / "best"
        place.mkdir(parents=True)
        for file in ("model.safetensors", "config.json", "tokenizer.json"):
            (place / file).write_bytes(b"1234")
        os.utime(place / "model.safetensors", (seconds, seconds))
    run = runs.newest(runs.in_folder(tmp_path), str(tmp_path))
    when = dt.datetime.fromtimestamp(2_000, dt.UTC)
    assert run == runs.Run("a", "runs/a/best/model.safetensors", None, when, 4)
    assert runs.local(tmp_path, run, 4) == tmp_path / "runs" / "a" / "best"
    with pytest.raises(runs.RunError, match=r"model\.safetensors: 4 bytes, more than 3$"):
        runs.local(tmp_path, run, 3)
    (tmp_path / "runs/a/best/config.json").unlink()
    with pytest.raises(runs.RunError, match=r"config\.json: there is no such file; a run needs"):
        runs.local(tmp_path, run, 4)


def fetched(s3: S3, folder: Path, limit: int = 1000) -> Path:
    """The newest run of a bucket, downloaded."""
    run = runs.newest(runs.in_bucket(s3, "models"), "s3://models")
    place = runs.fetch(s3, "models", run, folder, limit)
    assert isinstance(place, Path)
    return place


def test_a_run_is_downloaded_once_and_whole(tmp_path: Path) -> None:
    s3 = bucket("a")
    place = fetched(s3, tmp_path / "cache")
    assert {path.name: path.read_bytes() for path in place.iterdir()} == {
        "model.safetensors": b"weights",
        "config.json": b"{}",
        "tokenizer.json": b"[]",
    }
    assert len(s3.asked) == 3
    assert fetched(s3, tmp_path / "cache") == place
    assert len(s3.asked) == 3


@pytest.mark.parametrize("lacking", ["config.json", "tokenizer.json"])
def test_a_run_without_a_file_leaves_nothing(tmp_path: Path, lacking: str) -> None:
    s3 = bucket("a")
    del s3.objects[f"runs/a/best/{lacking}"]
    with pytest.raises(runs.RunError) as caught:
        fetched(s3, tmp_path / "cache")
    needs = "a run needs model.safetensors, config.json, tokenizer.json"
    assert str(caught.value) == f"s3://models/runs/a/best/{lacking}: NoSuchKey; {needs}"
    assert [*(tmp_path / "cache").iterdir()] == []


def test_a_download_that_ends_early_leaves_nothing(tmp_path: Path) -> None:
    s3 = bucket("a")
    s3.short = 1
    with pytest.raises(runs.RunError) as caught:
        fetched(s3, tmp_path / "cache")
    assert str(caught.value) == "s3://models/runs/a/best/model.safetensors: 6 bytes came, 7 were announced"
    assert [*(tmp_path / "cache").iterdir()] == []


def test_a_model_that_is_too_large_is_never_asked_for(tmp_path: Path) -> None:
    s3 = bucket("a")
    with pytest.raises(runs.RunError) as caught:
        fetched(s3, tmp_path / "cache", limit=6)
    assert str(caught.value) == "s3://models/runs/a/best/model.safetensors: 7 bytes, more than 6"
    assert s3.asked == []


def test_a_model_replaced_after_the_listing_is_refused(tmp_path: Path) -> None:
    s3 = bucket("a")
    run = runs.newest(runs.in_bucket(s3, "models"), "s3://models")._replace(etag='"older"')
    with pytest.raises(runs.RunError, match=r"model\.safetensors: PreconditionFailed; "):
        runs.fetch(s3, "models", run, tmp_path, 1000)


def test_boxes_become_thousandths_of_the_page() -> None:
    event = {"words": ["a", "b"], "boxes": [[0, 0, 595, 842], [59.5, 84.2, 119, 421]], "width": 595, "height": 842}
    assert page.read_page(event) == page.Page(["a", "b"], [(0, 0, 1000, 1000), (100, 100, 200, 500)])


def test_without_a_size_boxes_are_thousandths_already() -> None:
    assert page.read_page({"words": ["a"], "boxes": [[1, 2, 999, 1000]]}).boxes == [(1, 2, 999, 1000)]


ONE = [[0, 0, 10, 10]]


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ([], "the event must be an object with words and boxes"),
        ({}, "words must be a list of strings, and not empty"),
        ({"words": []}, "words must be a list of strings, and not empty"),
        ({"words": "word", "boxes": ONE}, "words must be a list of strings, and not empty"),
        ({"words": ["a"] * 10_001}, "words: 10001 are more than 10000"),
        ({"words": ["a", 1], "boxes": ONE}, "words[1] must be a string that is not blank"),
        ({"words": [" "], "boxes": ONE}, "words[0] must be a string that is not blank"),
        ({"words": ["a" * 1001], "boxes": ONE}, "words[0]: 1001 characters, more than 1000"),
        ({"words": ["a"]}, "boxes must be a list of one box for each of the 1 words"),
        ({"words": ["a"], "boxes": [*ONE, *ONE]}, "boxes must be a list of one box for each of the 1 words"),
        ({"words": ["a"], "boxes": [[0, 0, 10]]}, "boxes[0] must be four numbers: x0, y0, x1, y1"),
        ({"words": ["a"], "boxes": [[0, 0, 10, True]]}, "boxes[0] must be four numbers: x0, y0, x1, y1"),
        ({"words": ["a"], "boxes": [[0, 0, 10, 10**400]]}, "boxes[0] must be four numbers: x0, y0, x1, y1"),
        ({"words": ["a"], "boxes": [[0, 0, 10, float("nan")]]}, "boxes[0] must be four numbers: x0, y0, x1, y1"),
        (
            {"words": ["a"], "boxes": [[0, 0, 10, 1001]]},
            "boxes[0] must lie on the page of 1000 x 1000, x0 up to x1 and y0 up to y1",
        ),
        (
            {"words": ["a"], "boxes": [[5, 0, 4, 10]], "width": 595, "height": 842.5},
            "boxes[0] must lie on the page of 595 x 842.5, x0 up to x1 and y0 up to y1",
        ),
        (
            {"words": ["a"], "boxes": ONE, "width": 595},
            "width and height must both be numbers above 0, or both be left out",
        ),
        (
            {"words": ["a"], "boxes": ONE, "width": 595, "height": 0},
            "width and height must both be numbers above 0, or both be left out",
        ),
    ],
)
def test_what_is_no_page_is_refused_with_what_to_correct(event: object, message: str) -> None:
    with pytest.raises(page.BadRequestError) as caught:
        page.read_page(event)
    assert str(caught.value) == message
