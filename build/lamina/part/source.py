"""The facts of one Python module, as values: what it imports, what it names in strings, what it calls.

Apart from :mod:`lamina.part.scan`, which finds them, since whoever reads stored facts should not pay for its patterns.
"""

from __future__ import annotations

from typing import Final

import msgspec


class Import(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One module that an import statement names; ``import a, b`` gives two.

    ``module`` is as written, without the leading dots, which ``level`` counts: an empty string for ``from . import x``.
    ``names`` are those of a from-import before their ``as``, ``("*",)`` for a star, ``()`` for a plain import.
    ``lazy`` tells that it does not run when the module is imported: inside a function, or declared so (PEP 810).
    ``guarded`` tells that it stands, at any depth, under ``try`` (its handlers and its ``else`` included), under
    ``with suppress(ImportError)``, or under a condition: that it is missing need not be an error.
    """

    module: str
    level: int
    names: tuple[str, ...]
    lazy: bool
    guarded: bool


class Dynamic(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A call of one of ``LOADERS`` with a name that is computed.

    ``prefix`` and ``suffix`` are what the name begins and ends with, as far as the call itself tells: ``"pkg."`` and
    ``".tests"`` for ``import_module(f"pkg.{name}.tests")``, both empty for ``import_module(name)``.
    """

    call: str
    prefix: str
    suffix: str


class Ask(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A call that asks for metadata of distributions, of importlib.metadata, its backport, or pkg_resources.

    ``name`` is that of the distribution, or for ``entry_points`` the group: as a literal, or ``__name__`` or
    ``__package__``, with ``.0`` behind it for the part before the first dot; empty where it cannot be told.
    ``picked`` tells that of a group one entry point is asked for by its name. ``lazy`` tells that the call stands in a
    function, ``handled`` that where the distribution is missing the code around it goes on without.
    """

    call: str
    name: str
    picked: bool
    lazy: bool
    handled: bool


class Source(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The facts of one module.

    ``imports`` are in their order, each once; what only a type checker sees is left out. ``strings`` are the literals
    that could name a module, file or folder, sorted: 1 to 200 characters without white space, or words with single
    spaces between that end in a file's suffix; of f-strings, what stands between the fields. ``calls`` are those of
    ``NOTABLE`` that the code uses as a name, sorted. ``asks`` are each told once. A source that is not ``readable`` has
    no other facts: keep the file, and conclude nothing from it.
    """

    imports: tuple[Import, ...]
    strings: tuple[str, ...]
    dynamic: tuple[Dynamic, ...]
    calls: tuple[str, ...]
    readable: bool
    asks: tuple[Ask, ...] = ()


UNREADABLE: Final = Source((), (), (), (), readable=False)

#: Calls whose first argument names a module.
LOADERS: Final = frozenset(
    # of importlib and pkgutil, and those that packages like to write for themselves
    "import_module __import__ find_spec resolve_name import_string import_object import_class import_submodules "
    "load_module lazy_import lazy_module LazyLoader LazyImport importorskip run_module "
    # of importlib.resources and pkg_resources
    "files open_text open_binary read_text read_binary is_resource contents get_data "
    "resource_filename resource_string resource_stream resource_listdir resource_exists resource_isdir".split()
)
#: Names that tell how a module finds other modules, data, metadata or its own source.
NOTABLE: Final = LOADERS | frozenset(
    "attach attach_stub iter_modules walk_packages find_loader get_loader spec_from_file_location run_path exec "
    "execfile __path__ __file__ __getattr__ listdir glob iglob rglob iterdir scandir walk joinpath as_file "
    "getsource getsourcelines getsourcefile findsource linecache "
    "entry_points iter_entry_points distribution distributions get_distribution working_set version metadata requires "
    "packages_distributions importlib_metadata pkg_resources".split()
)


def resolve(imported: Import, module: str, is_package: bool) -> tuple[str, ...]:  # noqa: FBT001
    """Return the absolute dotted names that an import may load; the packages above each are implied.

    ``from a import b`` gives ``a`` and ``a.b``, since ``b`` may be a module as well as an attribute; a star gives only
    ``a``. A relative import is resolved against ``module``, the dotted name of the importing module (PEP 328). One that
    leads beyond the top-level package fails in Python and gives ``()``.
    """
    base = imported.module
    if imported.level:
        parts = module.split(".") if module else []
        anchor = parts[: max(len(parts) - imported.level + is_package, 0)]
        if not anchor:
            return ()
        base = ".".join((*anchor, base) if base else anchor)
    if not base:
        return ()
    return (base, *(f"{base}.{name}" for name in imported.names if name != "*"))
