"""What a layer ships at its top level."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lamina.prove.tops import top_levels


def test_packages_modules_and_extensions_count() -> None:
    assert top_levels([
        "python/numpy/__init__.py",
        "python/numpy/core/x.py",
        "python/six.py",
        "python/fast.cpython-311-x86_64-linux-gnu.so",
        "python/stable.abi3.so",
        "python/plain.so",
        "python/compiled.pyc",
        "python/lib/python3.11/site-packages/below/__init__.py",
    ]) == ("below", "compiled", "fast", "numpy", "plain", "six", "stable")  # fmt: skip


def test_what_nobody_imports_does_not() -> None:
    paths = """python/numpy-1.26.dist-info/METADATA python/numpy.libs/libx.so.1 python/bin/tool python/_cffi.so
    python/_private/__init__.py python/share/man/x.1 lib/libgomp.so.1 python/README.py.txt python/2fast.py
    python/six.pth python/with-hyphen/__init__.py other/six.py""".split()
    assert top_levels(paths) == ()


def test_a_namespace_package_stands_for_what_is_in_it() -> None:
    paths = ["python/google/cloud/storage/__init__.py", "python/google/cloud/one.py", "python/google/_x/__init__.py"]
    assert top_levels(paths) == ("google.cloud.one", "google.cloud.storage")


def test_a_file_and_a_folder_of_one_name_are_one_module() -> None:
    assert top_levels(["python/six.py", "python/six/__init__.py"]) == ("six",)


@given(st.lists(st.text("ab_./python-", max_size=30)))
def test_any_names_are_taken(paths: list[str]) -> None:
    assert all(part.isidentifier() for name in top_levels(paths) for part in name.split("."))
    assert top_levels(paths) == top_levels(reversed(paths))
