"""Packages that the usual ``rm -rf tests docs *.dist-info *.txt`` breaks, each built with the default rules and used.

They are samples of mechanisms: a folder with an innocent name that is imported, a text that is data, metadata that is
asked for, stubs that are read, libraries that stand elsewhere. Every row was seen to fail after the deletion (CPython
3.11, x86_64, November 2026) and must pass with the layer. The newest versions for python3.11 on x86_64 are taken,
except where a row names one. Rows that need more than 150 MB of wheels stand in ``tests/heavy``.

The layers are trimmed and have bytecode, as is the default; ``nox -s tests_heavy`` runs every row in the other modes of
bytecode as well. test_trim.py has more of what ``strip`` breaks. Left out, since they speak of what is never done or
not yet: ``-OO``, links in the zip (``[emit] dedupe``), libraries that the runtime lacks (the audit).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

#: What is locked and built together. tensorboard-data-server is the last that brings its binary for glibc 2.26.
LAYERS = {
    "learn": ("scikit-learn", "lightgbm", "bottleneck"),
    "old-numpy": ("numpy==2.2.6", "scipy==1.15.3"),
    "images": ("scikit-image", "shapely", "pillow"),
    "compiled": ("numba", "tables"),
    "plots": ("bokeh", "altair", "plotly", "dask[array]", "pandas"),
    "arrow": ("pyarrow", "transformers", "tensorboard-data-server==0.6.1"),
    "pipelines": ("datasets", "streamlit"),
    "video": ("opencv-python-headless", "imageio-ffmpeg"),
    "words": ("spacy",),
    "binaries": ("playwright", "wasmtime"),
    "clients": tuple(
        "anthropic bcrypt==4.3.0 boto3 botocore cloudpathlib curl-cffi fastapi gmpy2 google-auth invoke keyring "
        "langchain-core mcp openai opentelemetry-api paramiko pg8000 psycopg2-binary pydantic[email] tld".split()
    ),
    "tools": tuple(
        "attrs black click cyclopts django flask hypothesis ipython jedi jsonpath-ng jsonschema lightning-utilities "
        "Markdown nbformat parso rdflib setuptools tqdm".split()
    ),
}


Layers = Any  # the workshop of tests/conftest.py; test files import nothing from each other


class Row(NamedTuple):
    """One package: the layer it is in, what is run, and what the row is about."""

    package: str
    layer: str
    statement: str


FOLDERS = (
    Row("boto3", "clients", "import boto3; boto3.client('s3', region_name='eu-central-1')"),
    Row("botocore", "clients", "import botocore.session; import botocore.docs"),
    Row("tables", "compiled", "import tables"),
    Row("bottleneck", "learn", "import bottleneck; assert bottleneck.nansum([1.0, float('nan')]) == 1"),
    Row("numba", "compiled", "import numba; assert numba.njit(lambda x: x + 1)(1) == 2"),
    Row("numba.cuda", "compiled", "import numba.cuda.testing"),
    Row("cyclopts", "tools", "import cyclopts; assert cyclopts.App(name='x').generate_docs()"),
    Row("numpy.testing", "learn", "import scipy.stats, numpy.testing; numpy.testing.assert_equal(1, 1)"),
    Row("numpy._core.tests", "old-numpy", "import scipy.stats; assert round(scipy.stats.norm.cdf(0), 3) == 0.5"),
    Row("ipython", "tools", "import IPython; from IPython.core.interactiveshell import InteractiveShell"),
    Row("django", "tools", "import django.test; from django.test import TestCase, Client"),
)
TEXTS = (
    Row("scikit-learn", "learn", "import sklearn.datasets; assert 'Fisher' in sklearn.datasets.load_iris().DESCR"),
    Row("scikit-image", "images", "import skimage.feature; skimage.feature.ORB()"),
    Row("setuptools", "tools", "import setuptools; import setuptools._vendor.jaraco.text"),
    Row("tld", "clients", "import tld; assert tld.get_tld('http://www.google.co.uk') == 'co.uk'"),
    Row("parso", "tools", "import parso; parso.load_grammar().parse('x = 1')"),
    Row("black", "tools", "import black; assert black.format_str('x=1', mode=black.Mode()) == 'x = 1\\n'"),
    Row(
        "hypothesis",
        "tools",
        "import warnings; warnings.simplefilter('ignore')\n"
        "from hypothesis.provisional import domains; domains().validate(); domains().example()",
    ),
    Row("lightgbm", "learn", "import lightgbm; assert lightgbm.__version__[0].isdigit()"),
    Row("bokeh", "plots", "import bokeh; bokeh.license()"),
    Row(
        "django",
        "tools",
        "from django.conf import settings; settings.configure(); import django; django.setup()\n"
        "from django.forms.utils import ErrorDict, ErrorList\n"
        "assert ErrorDict(name=ErrorList(['wrong'])).as_text() == '* name\\n  * wrong'",
    ),
)
METADATA = (
    Row("transformers", "arrow", "import transformers; assert transformers.BertConfig().hidden_size"),
    Row("datasets", "pipelines", "import datasets; assert len(datasets.Dataset.from_dict({'x': [1, 2]})) == 2"),
    Row("dask", "plots", "import dask.array; assert dask.array.ones(4, chunks=2).sum().compute() == 4"),
    Row("plotly", "plots", "import plotly, plotly.graph_objects; assert plotly.graph_objects.Figure().to_json()"),
    Row("altair", "plots", "import altair; assert altair.Chart().mark_bar().to_dict(validate=False)"),
    Row("bokeh", "plots", "import bokeh.plotting; bokeh.plotting.figure()"),
    Row("openai", "clients", "import openai; openai.OpenAI(api_key='x')"),
    Row("anthropic", "clients", "import anthropic; anthropic.Anthropic(api_key='x')"),
    Row("mcp", "clients", "import mcp, mcp.server"),
    Row("fastapi", "clients", "import fastapi; fastapi.FastAPI().openapi()"),
    Row("streamlit", "pipelines", "import streamlit; assert streamlit.__version__[0].isdigit()"),
    Row("paramiko", "clients", "import paramiko; paramiko.SSHClient()"),
    Row("pg8000", "clients", "import pg8000.native"),
    Row("nbformat", "tools", "import nbformat.v4; nbformat.validate(nbformat.v4.new_notebook())"),
    Row("gmpy2", "clients", "import gmpy2; assert gmpy2.mpz(2) ** 3 == 8"),
    Row("invoke", "clients", "import invoke; invoke.Context()"),
    Row("curl_cffi", "clients", "import curl_cffi; curl_cffi.Curl()"),
    Row("rdflib", "tools", "import rdflib; assert rdflib.Graph().parse(data='<a:b> <a:c> <a:d> .', format='turtle')"),
    Row("cloudpathlib", "clients", "import cloudpathlib; assert cloudpathlib.__version__[0].isdigit()"),
    Row(
        "pydantic",
        "clients",
        "import pydantic\nclass M(pydantic.BaseModel):\n    e: pydantic.EmailStr\nM(e='a@python.org')",
    ),
    Row(
        "__version__",
        "tools",
        "import warnings; warnings.simplefilter('ignore'); import attr, flask, jsonschema\n"
        "for m in attr, flask, jsonschema:\n    assert m.__version__[0].isdigit(), m",
    ),
    Row(
        "click",
        "tools",
        "import click, click.testing\n@click.command()\n@click.version_option(package_name='flask')\ndef c(): pass\n"
        "found = click.testing.CliRunner().invoke(c, ['--version'])\nassert not found.exit_code, found.output",
    ),
    Row("keyring", "clients", "import keyring.backend as b; assert len(list(b.get_all_keyring())) > 1"),
    Row(
        "lightning-utilities",
        "tools",
        "from lightning_utilities.core.imports import RequirementCache; assert RequirementCache('packaging>=20')",
    ),
    Row("tqdm", "tools", "import tqdm; assert tqdm.__version__[0].isdigit()"),
    Row("opentelemetry-api", "clients", "import opentelemetry.context, opentelemetry.trace"),
    Row(
        "Markdown",
        "tools",
        "import markdown; assert '<table>' in markdown.markdown('a|b\\n-|-\\n1|2', extensions=['tables'])",
    ),
    Row("spacy", "words", "import spacy; assert len(spacy.blank('en')('two words')) == 2"),
)
STUBS = (
    Row("scikit-image", "images", "import skimage; assert skimage.data and skimage.feature.ORB"),
    Row(
        "jedi",
        "tools",
        "import jedi; assert any(c.name == 'path' for c in jedi.Script('import os\\nos.pa').complete())",
    ),
    Row("docstrings", "tools", "import jsonpath_ng; assert jsonpath_ng.parse('a.b').find({'a': {'b': 1}})"),
    Row(
        "langchain_core",
        "clients",
        "from langchain_core.tools import tool\n@tool\ndef t(x: int) -> int:\n    'Doc.'\n    return x",
    ),
)
NATIVE = (
    Row("numpy", "learn", "import numpy.linalg; assert round(numpy.linalg.det([[1, 2], [3, 4]])) == -2"),
    Row("scipy", "learn", "import scipy.linalg; scipy.linalg.inv([[1, 2], [3, 4]])"),
    Row(
        "scikit-learn",
        "learn",
        "from sklearn.ensemble import HistGradientBoostingClassifier as C; C().fit([[0], [1]] * 20, [0, 1] * 20)",
    ),
    Row("lightgbm", "learn", "import lightgbm; lightgbm.LGBMRegressor(verbose=-1).fit([[0], [1]] * 20, [0, 1] * 20)"),
    Row("pillow", "images", "from PIL import Image; import io; Image.new('RGB', (4, 4)).save(io.BytesIO(), 'JPEG')"),
    Row("shapely", "images", "import shapely; assert shapely.Point(0, 0).buffer(1).area > 3"),
    Row("psycopg2", "clients", "import psycopg2; assert psycopg2.__libpq_version__"),
    Row("bcrypt", "clients", "import bcrypt; assert bcrypt.checkpw(b'x', bcrypt.hashpw(b'x', bcrypt.gensalt(4)))"),
    Row(
        "pyarrow",
        "arrow",
        "import pyarrow.parquet, pyarrow.dataset, pyarrow.compute as c; assert c.sum([1, 2]).as_py() == 3",
    ),
    Row("wasmtime", "binaries", "import wasmtime; wasmtime.Module(wasmtime.Engine(), '(module)')"),
    Row(
        "playwright",
        "binaries",
        "import playwright.sync_api, subprocess\nfrom playwright._impl._driver import compute_driver_executable as d\n"
        "assert subprocess.run([*d(), '--version'], capture_output=True, check=True).stdout",
    ),
)
WHEELS = (
    Row(
        "google-auth",
        "clients",
        "import google.auth; import google; assert not hasattr(google, '__file__') or not google.__file__",
    ),
    Row(
        "setuptools",
        "tools",
        "import site; site.addsitedir(sys.path[0]); assert '_distutils_hack' in sys.modules; import distutils.core",
    ),
    Row("imageio-ffmpeg", "video", "import imageio_ffmpeg; assert imageio_ffmpeg.get_ffmpeg_version()"),
    Row(
        "tensorboard-data-server",
        "arrow",
        "import tensorboard_data_server as t, subprocess; subprocess.run([t.server_binary(), '--help'], check=True)",
    ),
    Row("opencv", "video", "import cv2, numpy; assert cv2.imencode('.png', numpy.zeros((2, 2)))[0] and cv2.imread"),
)

#: Without metadata, and nothing is missing: a finding here would be a false alarm. Two are held at versions before
#: httpcore2 came in, which asks for its own metadata.
STRIPPED_LAYERS = {
    "strip-learn": ("scikit-learn", "lightgbm", "pandas", "networkx"),
    "strip-numba": ("numba",),
    "strip-clients": tuple(
        "boto3 fsspec google-genai==1.52.0 huggingface_hub==0.36.0 numpy<2 onnxruntime opentelemetry-api safetensors "
        "sqlalchemy tokenizers".split()
    ),
}
STRIPPED = (
    Row("numpy", "strip-learn", "import numpy; numpy.ones(3).sum()"),
    Row("scipy", "strip-learn", "import scipy.stats, scipy.optimize"),
    Row("pandas", "strip-learn", "import pandas; pandas.DataFrame({'x': [1]}).sum()"),
    Row(
        "scikit-learn",
        "strip-learn",
        "from sklearn.linear_model import LinearRegression as L; L().fit([[0], [1]], [0, 1])",
    ),
    Row("lightgbm", "strip-learn", "import lightgbm; lightgbm.Dataset([[1]])"),
    Row("networkx", "strip-learn", "import networkx; assert networkx.path_graph(3).size() == 2"),
    Row("numba", "strip-numba", "import numba; assert numba.njit(lambda x: x + 1)(1) == 2"),
    Row("onnxruntime", "strip-clients", "import onnxruntime; onnxruntime.SessionOptions()"),
    Row("tokenizers", "strip-clients", "import tokenizers; tokenizers.Tokenizer(tokenizers.models.BPE())"),
    Row(
        "safetensors", "strip-clients", "import safetensors.numpy, numpy; safetensors.numpy.save({'x': numpy.ones(2)})"
    ),
    Row("huggingface_hub", "strip-clients", "from huggingface_hub import HfApi; HfApi()"),
    Row("boto3", "strip-clients", "import boto3; boto3.client('s3', region_name='eu-central-1')"),
    Row("google-genai", "strip-clients", "from google import genai; genai.Client(api_key='x')"),
    Row("opentelemetry-api", "strip-clients", "import opentelemetry.trace; opentelemetry.trace.get_tracer('x')"),
    Row("fsspec", "strip-clients", "import fsspec; fsspec.filesystem('memory').ls('/')"),
    Row("sqlalchemy", "strip-clients", "import sqlalchemy; sqlalchemy.create_engine('sqlite://').connect()"),
)
#: tqdm, which comes along with huggingface_hub, asks for its own version and is found asking; it is none of these rows.
STRIP = '[prune]\nmetadata = "strip"\nkeep = ["tqdm-*.dist-info/METADATA"]\n'


def _named(rows: tuple[Row, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", [pytest.param(row, id=row.package) for row in rows])


@_named(FOLDERS)
def test_folders_with_innocent_names(row: Row, layers: Layers, python311: str) -> None:
    layers.use(layers.open(row.layer, LAYERS[row.layer]), row.statement, interpreter=python311)


@_named(TEXTS)
def test_text_that_is_data(row: Row, layers: Layers, python311: str) -> None:
    layers.use(layers.open(row.layer, LAYERS[row.layer]), row.statement, interpreter=python311)


@_named(METADATA)
def test_metadata_that_is_asked_for(row: Row, layers: Layers, python311: str) -> None:
    layers.use(layers.open(row.layer, LAYERS[row.layer]), row.statement, interpreter=python311)


@_named(STUBS)
def test_stubs_and_docstrings(row: Row, layers: Layers, python311: str) -> None:
    layers.use(layers.open(row.layer, LAYERS[row.layer]), row.statement, interpreter=python311)


@_named(NATIVE)
def test_native_libraries(row: Row, layers: Layers, python311: str) -> None:
    layers.use(layers.open(row.layer, LAYERS[row.layer]), row.statement, interpreter=python311)


@_named(WHEELS)
def test_wheels_are_not_just_files(row: Row, layers: Layers, python311: str) -> None:
    layers.use(layers.open(row.layer, LAYERS[row.layer]), row.statement, interpreter=python311)


@_named(STRIPPED)
def test_fine_without_metadata(row: Row, layers: Layers, python311: str) -> None:
    layer = layers.open(row.layer, STRIPPED_LAYERS[row.layer], extra=STRIP)
    assert {path.parent.name.partition("-")[0] for path in layer.glob("*.dist-info/METADATA")} <= {"tqdm"}
    layers.use(layer, row.statement, interpreter=python311)


@pytest.mark.parametrize("name", STRIPPED_LAYERS)
def test_fine_without_metadata_raises_no_finding(name: str, layers: Layers) -> None:
    layer = layers.open(name, STRIPPED_LAYERS[name], extra=STRIP)
    [manifest] = (layer.parent.parent / "dist").glob("*_x86_64.json")
    codes = {finding["code"] for finding in json.loads(manifest.read_text())["findings"]}
    assert "metadata-needed" not in codes


def test_pth_files_lead_to_packages(layers: Layers, python312: str) -> None:
    """coal installs below ``cmeel.prefix``, to which a ``.pth`` file of cmeel leads; it has no wheel for glibc 2.26."""
    layer = layers.open("cmeel", ("coal",), python="cp312")
    layers.use(layer, "import site; site.addsitedir(sys.path[0]); import coal; coal.Sphere(1)", interpreter=python312)


def test_pth_files_that_run_code_are_kept(layers: Layers, python312: str) -> None:
    """setuptools gives distutils back to python3.12 by a ``.pth`` file that imports its own stand-in."""
    layer = layers.open("distutils", ("setuptools",), python="cp312")
    use = "import site; site.addsitedir(sys.path[0]); import distutils; assert 'setuptools' in distutils.__file__"
    layers.use(layer, use, interpreter=python312)


def test_two_packages_in_one_place_are_refused(layers: Layers) -> None:
    """opencv-python and -headless both bring cv2: which of them would win is nobody's guess."""
    layers.write("both", ("opencv-python", "opencv-python-headless"))
    done = layers.run("both", "-m", "lamina", "build", "both", "--json")
    assert done.returncode == 1
    [outcome] = json.loads(done.stdout)
    assert outcome["artefact"] is None
    conflicts = {finding["path"] for finding in outcome["manifest"]["findings"] if finding["code"] == "file-conflict"}
    assert "python/cv2/cv2.abi3.so" in conflicts


def test_tests_folders_go_but_for_what_is_needed(
    lamina: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """Vetoes keep precision: of the sklearn recipe's bytes in folders called tests, at least 95 % go."""
    done = lamina("explain", "sklearn", "--target", "cp311-manylinux2014_x86_64", "--json")
    assert done.returncode == 0, done.stderr
    decided = [one for row in json.loads(done.stdout) for one in row["decisions"] if "/tests/" in one["path"]]
    whole = sum(one["bytes"] for one in decided)
    gone = sum(one["bytes"] for one in decided if one["dropped"])
    assert whole > 25_000_000
    assert gone / whole >= 0.95, f"{gone:,} of {whole:,} bytes"
