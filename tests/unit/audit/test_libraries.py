"""Missing libraries: every branch, whole messages."""

from __future__ import annotations

from typing import Any

import pytest

from lamina.audit.libraries import check_libraries
from lamina.audit.model import Artefact, Item, Package
from lamina.audit.world import world_of
from lamina.binary.model import Binary, Elf
from lamina.findings import Finding
from lamina.part.source import Import, Source
from lamina.target import Target, target_for

X86, ARM = 62, 183
TARGET = target_for("cp311", platform="manylinux2014_x86_64")


def elf(**facts: object) -> Binary:
    values: dict[str, Any] = {"machine": X86, "bits": 64, "little": True, "type": 3, **facts}
    return Binary(
        "elf", {X86: "x86_64", ARM: "aarch64"}.get(values["machine"], "i386"), library=True, elf=Elf(**values)
    )


def item(path: str, binary: Binary | None = None, **facts: object) -> Item:
    return Item(path, f"/opt/{path}", 1, binary=binary, **facts)


def layer(*items: Item, package: Package | None = None) -> Artefact:
    packages = (package._replace(files=frozenset(each.path for each in items)),) if package else ()
    return Artefact("layer.zip", "layer", items, packages)


def package(name: str, *tags: str) -> Package:
    return Package(name, "1.0", f"python/{name}-1.0.dist-info", tags, metadata=True, entry_points=(), files=frozenset())


CP312 = target_for("cp312", architecture="x86_64")


def code(path: str, *imports: Import, strings: tuple[str, ...] = ()) -> Item:
    return item(path, source=Source(imports, strings, (), (), readable=True))


def imports(module: str, *, guarded: bool = False, lazy: bool = False) -> Import:
    return Import(module, 0, (), lazy, guarded)


def check(*items: Item, package: Package | None = None, target: Target = TARGET) -> list[Finding]:
    artefact = layer(*items, package=package)
    return list(check_libraries(artefact, world_of([artefact], target)))


GOMP = (
    "Put libgomp.so.1 of the libgomp package of the runtime's system (Amazon Linux) into the layer's overlay as "
    "lib/libgomp.so.1: it is then found at /opt/lib."
)


def test_known_absence_is_an_error() -> None:
    found = check(item("python/lightgbm/lib_lightgbm.so", elf(needed=("libgomp.so.1", "libc.so.6"))))
    message = "lightgbm needs libgomp.so.1, which python3.11 on Lambda does not have"
    assert found == [Finding("missing-library", "error", "python/lightgbm/lib_lightgbm.so", message, GOMP)]


def test_one_finding_for_a_package_and_name_with_the_number_of_files() -> None:
    items = [item(f"python/pkg/{name}.so", elf(needed=("libgomp.so.1", "libGL.so.1"))) for name in "cab"]
    found = check(*items, item("python/other/x.so", elf(needed=("libgomp.so.1",))))
    assert [(finding.path, finding.message) for finding in found] == [
        ("python/other/x.so", "other needs libgomp.so.1, which python3.11 on Lambda does not have"),
        ("python/pkg/a.so", "pkg needs libGL.so.1, which python3.11 on Lambda does not have (3 files)"),
        ("python/pkg/a.so", "pkg needs libgomp.so.1, which python3.11 on Lambda does not have (3 files)"),
    ]


def test_what_nobody_has_verified_is_a_warning() -> None:
    found = check(item("python/pkg/x.so", elf(needed=("libfoo.so.2",))))
    message = "pkg needs libfoo.so.2; whether python3.11 on Lambda has it, nobody has verified"
    hint = (
        "Put libfoo.so.2 into the layer's overlay as lib/libfoo.so.2 (it is then found at /opt/lib), "
        "or take a build of pkg that brings it."
    )
    assert found == [Finding("missing-library", "warning", "python/pkg/x.so", message, hint)]


@pytest.mark.parametrize(
    ("package_name", "soname", "hint"),
    [
        ("opencv-python", "libGL.so.1", "Require opencv-python-headless instead"),
        ("opencv-python", "libxcb-shm.so.0", "Require opencv-python-headless instead"),
        ("opencv-contrib-python", "libgthread-2.0.so.0", "Require opencv-contrib-python-headless instead"),
        ("psycopg2", "libpq.so.5", "Require psycopg2-binary instead"),
        ("pkg", "libcrypt.so.1", "Put libcrypt.so.1 of the libxcrypt-compat package"),
        ("pkg", "libcuda.so.1", "Lambda has no GPU: require the CPU build of the package"),
        ("pkg", "libpq.so.5", "Put libpq.so.5 into the layer's overlay"),
    ],
)
def test_remedies(package_name: str, soname: str, hint: str) -> None:
    one = item("python/x/y.so", elf(needed=(soname,)))
    (found,) = check(one, package=package(package_name), target=CP312)
    assert found.hint.startswith(hint)


def test_the_overlay_supplies_it() -> None:
    assert check(item("python/pkg/x.so", elf(needed=("libgomp.so.1",))), item("lib/libgomp.so.1", elf())) == []


def test_musl_is_one_finding() -> None:
    first = item("python/pkg/a.so", elf(needed=("libc.musl-x86_64.so.1",)))
    second = item("python/pkg/b", elf(interpreter="/lib/ld-musl-x86_64.so.1", needed=("libc.musl-x86_64.so.1",)))
    message = "pkg needs libc.musl-x86_64.so.1: it is of a musllinux wheel, and Lambda has glibc (2 files)"
    hint = "Take the manylinux wheel: lock and build with lamina for cp311-manylinux2014_x86_64."
    assert check(first, second) == [Finding("missing-library", "error", "python/pkg/a.so", message, hint)]


def test_an_interpreter_of_musl_alone_tells() -> None:
    (found,) = check(item("python/pkg/b", elf(interpreter="/lib/ld-musl-x86_64.so.1")))
    assert found.message == "pkg needs /lib/ld-musl-x86_64.so.1: it is of a musllinux wheel, and Lambda has glibc"


def test_a_library_of_another_package_that_is_imported_is_there_already() -> None:
    user = item("python/torchvision/x.so", elf(needed=("libtorch.so",)))
    brings = item("python/torch/lib/libtorch.so", elf(soname="libtorch.so"))
    assert check(user, brings, code("python/torchvision/__init__.py", imports("torch.nn"))) == []
    found = check(user, brings, code("python/torchvision/__init__.py", imports("numpy")))
    message = (
        "torchvision needs libtorch.so, which the loader does not find; python/torch/lib/libtorch.so is one, "
        "if it is loaded before"
    )
    hint = "Import torch before torchvision, and prove it: proof.imports in the recipe."
    assert found == [Finding("missing-library", "note", user.path, message, hint)]


def test_a_package_that_loads_its_own_libraries() -> None:
    user = item("python/pkg/x.so", elf(needed=("libhash-1.so",)))
    own = item("python/pkg.libs/libhash-1.so", elf())
    assert check(user, own, code("python/pkg/__init__.py", imports("ctypes"))) == []
    (found,) = check(user, own, code("python/pkg/__init__.py"))
    assert (found.severity, found.hint) == ("note", "Prove that it loads: proof.imports in the recipe.")


def test_a_library_of_another_machine_is_no_help() -> None:
    (found,) = check(
        item("python/pkg/x.so", elf(needed=("libgomp.so.1",))),
        item("python/pkg.libs/libgomp.so.1", elf(machine=ARM)),
    )
    assert found.severity == "error"


@pytest.mark.parametrize(
    ("how", "severity"),
    [
        ((imports("pkg.pool", guarded=True),), "note"),
        ((imports("pkg.pool", lazy=True),), "note"),
        ((imports("pkg.pool", guarded=True), imports("pkg.pool")), "error"),
        ((), "error"),
    ],
)
def test_an_extension_that_the_package_can_do_without(how: tuple[Import, ...], severity: str) -> None:
    pool = item("python/pkg/pool.cpython-311-x86_64-linux-gnu.so", elf(needed=("libgomp.so.1",)))
    (found,) = check(pool, code("python/pkg/user.py", *how))
    assert found.severity == severity
    after = "; the package goes on without this module" if severity == "note" else ""
    assert found.message == f"pkg needs libgomp.so.1, which python3.11 on Lambda does not have{after}"


def test_an_optional_extension_with_an_unverified_library_is_a_note() -> None:
    pool = item("python/pkg/pool.cpython-311-x86_64-linux-gnu.so", elf(needed=("libtbb.so.12",)))
    (found,) = check(pool, code("python/pkg/user.py", Import("", 1, ("pool",), lazy=False, guarded=True)))
    assert found.severity == "note"
    assert found.message == (
        "pkg needs libtbb.so.12; whether python3.11 on Lambda has it, nobody has verified; "
        "the package goes on without this module"
    )


def test_a_plug_in_of_native_code_is_a_warning_unless_python_names_it() -> None:
    plugin = item("python/torch/lib/libnvrtc_stub.so", elf(needed=("libcuda.so.1",)))
    opener = item("python/torch/lib/libtorch.so", elf(opens=("libnvrtc_stub.so",)))
    (found,) = check(plugin, opener)
    assert (found.severity, found.message) == (
        "warning",
        "torch needs libcuda.so.1, which python3.11 on Lambda does not have; other native code opens this file by name",
    )
    (found,) = check(plugin, opener, code("python/torch/__init__.py", strings=("libnvrtc_stub.so",)))
    assert found.severity == "error"


def test_libpython() -> None:
    assert check(item("python/pkg/x.so", elf(needed=("libpython3.12.so.1.0",)))) == []
    (found,) = check(item("python/pkg/x.so", elf(needed=("libpython3.11.so.1.0",))))
    assert found.severity == "warning"


def test_what_cannot_load_at_all_is_not_judged() -> None:
    assert check(item("python/pkg/x.so", elf(needed=("libgomp.so.1",), machine=ARM))) == []
    assert check(item("python/pkg/x.o", elf(needed=("libgomp.so.1",), type=1))) == []


def test_a_file_that_a_later_layer_covers_is_not_judged() -> None:
    under = layer(item("python/pkg/x.so", elf(needed=("libgomp.so.1",))))
    over = layer(item("python/pkg/x.so", elf()))
    world = world_of([under, over], TARGET)
    assert [*check_libraries(under, world), *check_libraries(over, world)] == []


def test_an_image_is_all_there_is() -> None:
    def at(place: str, *needed: str) -> Item:
        return Item(place[1:], place, 1, binary=elf(needed=needed))

    user = at("/var/task/pkg/x.so", "libgomp.so.1", "libz.so.1", "libc.so.6", "libown.so.1")
    libs = [at("/lib/x86_64-linux-gnu/libc.so.6"), at("/usr/local/lib/libown.so.1"), at("/usr/lib64/libgomp.so.1")]
    image = Artefact("image.tar", "image", (user, *libs))
    (found,) = check_libraries(image, world_of([image], TARGET))
    assert (found.severity, found.message) == ("error", "pkg needs libz.so.1, which the image does not have")


def test_sonames_in_python_code_are_a_note() -> None:
    found = check(
        code(
            "python/magic/loader.py",
            strings=("libX11.so.6", "libgomp.so.1", "libmagic.so.1", "libGL.so", "libcuda.so.1"),
        )
    )
    message = "magic names libX11.so.6, libgomp.so.1 in its code, which python3.11 on Lambda does not have"
    hint = (
        "Put libX11.so.6 into the layer's overlay as lib/libX11.so.6 (it is then found at /opt/lib), "
        "or take a build of magic that brings it."
    )
    assert found == [Finding("missing-library", "note", "python/magic/loader.py", message, hint)]
    assert check(code("python/pkg/x.py", strings=("libgomp.so.1",)), item("lib/libgomp.so.1", elf())) == []
