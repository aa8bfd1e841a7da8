"""What a recipe holds: frozen values, strict about names and types, with the defaults of every key.

The descriptions become the JSON schema, so editors show them. A ``format`` names the check of :mod:`.values` that a
single value must pass; how values must fit together stands in :mod:`.together`. Annotations are evaluated at run time.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct, field

from lamina.recipe.sizes import MIB

Artefact = Literal["layer", "function", "image"]
Rule = Literal[
    "tests",
    "docs",
    "examples",
    "benchmarks",
    "caches",
    "static-libraries",
    "headers",
    "stubs",
    "native-sources",
]
RULES: tuple[Rule, ...] = get_args(Rule)

#: What every Lambda runtime brings along. Source: AWS Lambda developer guide, page lambda-python.
PROVIDED = ("boto3", "botocore")


def _says(description: str, form: str = "", *, unique: bool = False) -> Meta:
    """Describe a key; ``form`` names the check of a single value, ``unique`` forbids repeats in a list."""
    extra: dict[str, object] = {"format": form} if form else {}
    if unique:
        extra["uniqueItems"] = True
    return Meta(description=description, extra_json_schema=extra)


def _of(form: str) -> Meta:
    """Name the check of a list's items or a table's keys."""
    return Meta(extra_json_schema={"format": form})


_SOME = Meta(min_length=1)

Glob = Annotated[str, _of("glob")]
Package = Annotated[str, _of("package")]
ProjectPath = Annotated[str, _of("path")]


class _Table(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """A table of a recipe: immutable, closed, keys with hyphens."""


class TargetSpec(_Table, frozen=True):
    """A target as the recipe names it: python, and either platform or architecture."""

    python: Annotated[str, _says('The CPython ABI, such as "cp311".')]
    platform: Annotated[
        str | None,
        _says('The platform tag that caps the choice of wheels, such as "manylinux2014_x86_64". Or architecture.'),
    ] = None
    architecture: Annotated[
        str | None,
        _says('"x86_64" or "aarch64": the highest platform tag that the runtime loads. Or platform.'),
    ] = None


class Omit(_Table, frozen=True):
    """A package that is resolved but not shipped."""

    name: Annotated[str, _says("The package's name.", "package")]
    reason: Annotated[str, _says("Why the layer does without it.", "reason")]


class Prune(_Table, frozen=True):
    """What is left out of the wheels."""

    rules: Annotated[
        tuple[Rule, ...],
        _says("Named rules. Each only proposes: what kept code refers to stays.", unique=True),
    ] = RULES
    metadata: Annotated[
        Literal["keep", "minimal", "strip"],
        _says(
            "What stays of each .dist-info folder. minimal: METADATA, entry_points.txt, top_level.txt, WHEEL and a "
            "RECORD of what ships; strip: nothing, which some packages do not survive.",
        ),
    ] = "minimal"
    keep: Annotated[
        tuple[Glob, ...],
        _says("Globs that no rule may drop, relative to site-packages.", unique=True),
    ] = ()
    drop: Annotated[
        tuple[Glob, ...],
        _says("Globs to drop whatever the rules say, relative to site-packages.", unique=True),
    ] = ()
    untraced: Annotated[
        tuple[Glob, ...],
        _says(
            "Globs within which files that the proofs never touched are dropped, by layers/<name>/trace.json, which "
            "lamina trace writes.",
            unique=True,
        ),
    ] = ()


class Native(_Table, frozen=True):
    """What is done to native libraries."""

    trim: Annotated[bool, _says("Drop what the loader never maps, where that is proven safe file by file.")] = True


class Bytecode(_Table, frozen=True):
    """What is compiled ahead of the first import."""

    mode: Annotated[
        Literal["off", "fit", "all", "sourceless"],
        _says("off: none; fit: as much as the budget holds; all; sourceless: in place of the sources."),
    ] = "fit"


class Emit(_Table, frozen=True):
    """How the zip is written."""

    compression: Annotated[
        Literal["copy", "small"],
        _says("copy: the bytes as the wheels compress them; small: compressed again, harder."),
    ] = "copy"
    dedupe: Annotated[bool, _says("Write identical files as relative symlinks.")] = False


class Budget(_Table, frozen=True):
    """How large the whole function may become, unzipped."""

    unzipped: Annotated[
        int,
        _says("An error above it. A size or a number of bytes, at most Lambda's quota, which is the default.", "size"),
    ] = 250 * MIB
    warn: Annotated[int, _says("A warning above it. A size or a number of bytes.", "size")] = 220 * MIB
    stack: Annotated[
        tuple[Annotated[str | int, _of("stack")], ...],
        _says("What shares the function: names of other recipes, sizes, byte counts or paths of layer zips."),
    ] = ()


class Proof(_Table, frozen=True):
    """What the artefact must do in the target's interpreter."""

    imports: Annotated[
        tuple[Annotated[str, _of("module")], ...],
        _says("Modules that must import.", unique=True),
    ] = ()
    script: Annotated[str | None, _says("A script that must end with exit code 0.", "path")] = None
    s3: Annotated[
        Mapping[Annotated[str, _of("object-key")], ProjectPath],
        _says("Objects put into a loopback S3 before events run: key to file."),
    ] = field(default_factory=dict)


class Source(_Table, frozen=True):
    """Files that go into the function."""

    from_: Annotated[str, _says("The folder or file they come from.", "path")] = field(name="from")
    to: Annotated[str, _says("The folder they go to, relative to the function's root.", "place")] = "."
    exclude: Annotated[tuple[Glob, ...], _says("Globs to leave out, relative to from.", unique=True)] = ()


class Variable(_Table, frozen=True):
    """An environment variable of the function: exactly one of the three keys."""

    value: Annotated[str | None, _says("Its value, which is no secret.")] = None
    required: Annotated[bool, _says("Whoever deploys must set it.")] = False
    secret: Annotated[bool, _says("Its value must come from a secret store.")] = False


class Function(_Table, frozen=True):
    """The slim function beside the layer."""

    handler: Annotated[str, _says('What Lambda calls: "module.function".', "handler")]
    source: Annotated[tuple[Source, ...], _says("What goes into it."), _SOME]
    events: Annotated[
        tuple[ProjectPath, ...],
        _says("Events it is proven with; what is expected of x.json stands in x.expect.json.", unique=True),
    ] = ()
    environment: Annotated[
        Mapping[Annotated[str, _of("variable")], Variable],
        _says('Variables: { value = "..." }, { required = true } or { secret = true }.'),
    ] = field(default_factory=dict)
    memory: Annotated[int, _says("Whole MiB from 128 to 10240, as a size.", "memory")] = 512 * MIB
    timeout: Annotated[int, _says("Seconds, from 1 to 900."), Meta(ge=1, le=900)] = 60


class Image(_Table, frozen=True):
    """The container image."""

    base: Annotated[
        str | None,
        _says(
            "The base image; the runtime's own when not given. With another maker's, its glibc is the ceiling.", "image"
        ),
    ] = None


class Builder(_Table, frozen=True):
    """What resolves, and builds where no wheel exists."""

    kind: Annotated[
        Literal["uv", "docker"],
        _says("uv: on this host, for the target; docker: inside the Lambda base image."),
    ] = "uv"
    system_packages: Annotated[
        tuple[Annotated[str, _of("system-package")], ...],
        _says("Packages of the base image's system: for wheels built in it, and for overlay.from-image.", unique=True),
    ] = ()


class Overlay(_Table, frozen=True):
    """What goes in beside the wheels, besides layers/<name>/overlay/."""

    from_image: Annotated[
        tuple[Annotated[str, _of("from-image")], ...],
        _says(
            "Libraries (libgomp.so.1), executables (tesseract) and absolute paths taken from the packages of the base "
            "image, with the libraries that they need.",
            unique=True,
        ),
    ] = ()


class Index(_Table, frozen=True):
    """An index that serves the named packages and no others."""

    name: Annotated[str, _says("Its name; the environment variable LAMINA_INDEX_<NAME> overrides url.", "index-name")]
    url: Annotated[str, _says("Its address, without credentials.", "url")]
    packages: Annotated[tuple[Package, ...], _says("The packages it serves.", unique=True), _SOME]


class Accept(_Table, frozen=True):
    """A finding judged acceptable; it stays visible."""

    code: Annotated[str, _says("The finding's code.", "code")]
    path: Annotated[str, _says("Where: a path as the finding states it, or a glob.", "glob")]
    reason: Annotated[str, _says("Why it is acceptable.", "reason")]


class Recipe(_Table, frozen=True):
    """What a layer is made of and for which targets. Paths are relative to the project."""

    name: Annotated[str, _says("The recipe's name, which is also the file's.", "name")]
    requirements: Annotated[
        tuple[Annotated[str, _of("requirement")], ...],
        _says(
            'What the layer must offer: requirement strings such as "pandas>=2", and local projects as '
            '"./packages/shared[extra]".'
        ),
        _SOME,
    ]
    target: Annotated[tuple[TargetSpec, ...], _says("What the layer must load on; one zip each."), _SOME]
    description: Annotated[str, _says("One line that the published layer carries.", "line"), Meta(max_length=256)] = ""
    artefacts: Annotated[tuple[Artefact, ...], _says("What `build --all` makes.", unique=True), _SOME] = ("layer",)
    constraints: Annotated[
        tuple[Annotated[str, _of("constraint")], ...],
        _says("Requirement strings that limit versions and require nothing."),
    ] = ()
    provided: Annotated[
        tuple[Package, ...],
        _says("Packages that the runtime has: resolved with, never shipped, nor what only they need.", unique=True),
    ] = PROVIDED
    omit: Annotated[tuple[Omit, ...], _says("Packages that are resolved but not shipped, each with the reason.")] = ()
    find_links: Annotated[
        tuple[Annotated[str, _of("folder")], ...],
        _says("Folders of wheels, beside the index.", unique=True),
    ] = ()
    prune: Annotated[Prune, _says("What is left out of the wheels.")] = Prune()
    native: Annotated[Native, _says("What is done to native libraries.")] = Native()
    bytecode: Annotated[Bytecode, _says("What is compiled ahead of the first import.")] = Bytecode()
    emit: Annotated[Emit, _says("How the zip is written.")] = Emit()
    budget: Annotated[Budget, _says("How large the whole function may become.")] = Budget()
    proof: Annotated[Proof, _says("What the artefact must do in the target's interpreter.")] = Proof()
    function: Annotated[Function | None, _says("The slim function beside the layer.")] = None
    image: Annotated[Image | None, _says("The container image.")] = None
    builder: Annotated[Builder, _says("What resolves, and builds where no wheel exists.")] = Builder()
    overlay: Annotated[Overlay, _says("What goes in beside the wheels, besides layers/<name>/overlay/.")] = Overlay()
    index: Annotated[tuple[Index, ...], _says("Indexes that serve the named packages and no others.")] = ()
    accept: Annotated[tuple[Accept, ...], _says("Findings judged acceptable; they stay visible.")] = ()

    @property
    def base(self) -> str | None:
        """The base image that the recipe names, if it names one."""
        return self.image.base if self.image is not None else None
