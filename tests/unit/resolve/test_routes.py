"""The pages by which uv learns of indexes for some packages."""

from __future__ import annotations

from pathlib import Path

from lamina.index import IndexClient, Indexes, Named
from lamina.index.model import IndexFile, Project
from lamina.resolve.routes import page, route
from lamina.store import Store

URL = "https://a.invalid/files/foo-1.0-py3-none-any.whl"


def test_a_page_says_all_that_decides() -> None:
    plain = IndexFile("foo-1.0-py3-none-any.whl", "1.0", URL)
    full = IndexFile(
        "foo-2.0-py3-none-any.whl", "2.0", URL + "?a&b", "ab" * 32, 5, ">=3.9,<4", yanked=True, metadata=True
    )
    assert page(Project("foo", found=True, wheels=(plain, full), sources=frozenset({"3.0"}))) == (
        "<!DOCTYPE html>\n<html><body>\n"
        f'<a href="{URL}">foo-1.0-py3-none-any.whl</a><br>\n'
        f'<a href="{URL}?a&amp;b#sha256={"ab" * 32}" data-requires-python="&gt;=3.9,&lt;4" data-yanked="" '
        'data-core-metadata="true">foo-2.0-py3-none-any.whl</a><br>\n'
        "</body></html>\n"
    )
    assert page(Project("foo")) == "<!DOCTYPE html>\n<html><body>\n</body></html>\n"


def test_the_tree_holds_the_named_packages_and_no_others(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    for name in ("foo", "bar", "other"):
        (folder / name).mkdir(parents=True)
        (folder / name / "index.html").write_text(f'<a href="{name}-1.0-py3-none-any.whl">x</a>')
    store = Store(tmp_path / "store")
    url = folder.as_uri()
    places = []
    for packages in (("bar", "foo", "gone"), ("foo",)):
        with IndexClient(Indexes(named=(Named("own", url, packages),))) as client:
            found = route(client, store)
            assert found is not None
            tree = Path(found.removeprefix("file://"))
            assert sorted(path.name for path in tree.iterdir()) == sorted(packages)
            assert f"{url}/foo/foo-1.0-py3-none-any.whl" in (tree / "foo" / "index.html").read_text()
            assert route(client, store) == found
        places.append(found)
    assert len(set(places)) == 2
    with IndexClient(Indexes()) as client:
        assert route(client, store) is None
