"""Recipes as people write them: what is accepted, and every mistake with the whole of its message."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamina import recipe
from lamina.errors import RecipeError
from lamina.recipe import Accept, Budget, Function, Omit, Recipe, Source, TargetSpec, Variable, parse

RECIPES = Path(__file__).parents[3] / "recipes"
MIB = 1024**2
QUOTA = 262_144_000

TARGET = '[[target]]\npython = "cp311"\nplatform = "manylinux2014_x86_64"\n'
MINIMAL = f'name = "x"\nrequirements = ["numpy"]\n{TARGET}'


def text(top: str = "", tables: str = "", *, requirements: str = '["numpy"]', target: str = TARGET) -> str:
    return f'name = "x"\nrequirements = {requirements}\n{top}\n{target}\n{tables}\n'


def mistakes(source: str, where: str = "recipes/x.toml") -> list[str]:
    """What parsing reports, without the file's name before each line."""
    with pytest.raises(RecipeError) as caught:
        parse(source, where)
    assert caught.value.exit_code == 2
    assert caught.value.hint
    lines = caught.value.message.split("\n")
    assert all(line.startswith(f"{where}: ") for line in lines)
    return [line.removeprefix(f"{where}: ") for line in lines]


# --- what is accepted ---


def test_the_defaults_are_those_of_the_contract() -> None:
    made = parse(MINIMAL, "recipes/x.toml")
    assert made == Recipe(
        name="x",
        requirements=("numpy",),
        target=(TargetSpec("cp311", "manylinux2014_x86_64", None),),
    )
    assert made.description == ""
    assert made.artefacts == ("layer",)
    assert made.provided == ("boto3", "botocore")
    assert (made.constraints, made.omit, made.find_links, made.index, made.accept) == ((), (), (), (), ())
    assert made.prune.rules == (
        "tests",
        "docs",
        "examples",
        "benchmarks",
        "caches",
        "static-libraries",
        "headers",
        "stubs",
        "native-sources",
    )
    assert made.prune.metadata == "minimal"
    assert (made.prune.keep, made.prune.drop, made.prune.untraced) == ((), (), ())
    assert made.native.trim is True
    assert made.bytecode.mode == "fit"
    assert (made.emit.compression, made.emit.dedupe) == ("copy", False)
    assert made.budget == Budget(unzipped=QUOTA, warn=220 * MIB, stack=())
    assert (made.proof.imports, made.proof.script, made.proof.s3) == ((), None, {})
    assert (made.function, made.image) == (None, None)
    assert (made.builder.kind, made.builder.system_packages) == ("uv", ())
    assert made.overlay.from_image == ()


def test_everything_that_can_be_stated_today() -> None:
    made = parse(
        text(
            top="""
description = "one line"
artefacts = ["layer"]
constraints = ["numpy<2", "pandas>=1; python_version<'3.12'"]
provided = []
omit = [{ name = "kubernetes", reason = "never imported" }]
find-links = ["wheels", "/srv/wheels", "C:\\\\wheels"]
""",
            tables="""
[prune]
rules = ["tests"]
metadata = "strip"
keep = ["numpy/tests/**"]
drop = ["numpy/f2py/*"]
untraced = []
[native]
trim = false
[bytecode]
mode = "off"
[emit]
compression = "copy"
dedupe = false
[budget]
unzipped = "200 MB"
warn = 100_000_000
stack = ["torch", 5000, "10 MiB", "dist/base.zip"]
[proof]
imports = ["numpy.linalg"]
script = "layers/x/smoke.py"
s3 = { "models/model.pkl" = "layers/x/events/model.pkl" }
[function]
handler = "handler.lambda_handler"
source = [{ from = "layers/x/function" }, { from = "shared", to = "shared", exclude = ["*.md"] }]
events = ["layers/x/events/predict.json"]
environment = { BUCKET = { required = true }, MODE = { value = "" }, TOKEN = { secret = true } }
memory = "1.5 GiB"
timeout = 900
[image]
base = "registry.example.org/python:3.11"
[builder]
kind = "uv"
system-packages = []
[overlay]
from-image = []
[[accept]]
code = "missing-import"
path = "python/pkg/extra.py"
reason = "optional feature, never used here"
""",
            requirements='["numpy[dev]>=1.26; python_version >= \'3.11\'", "boto3"]',
        ),
        "recipes/x.toml",
    )
    assert made.requirements == ("numpy[dev]>=1.26; python_version >= '3.11'", "boto3")
    assert made.omit == (Omit("kubernetes", "never imported"),)
    assert made.find_links == ("wheels", "/srv/wheels", "C:\\wheels")
    assert made.budget == Budget(200_000_000, 100_000_000, ("torch", 5000, 10 * MIB, "dist/base.zip"))
    assert made.proof.s3 == {"models/model.pkl": "layers/x/events/model.pkl"}
    assert made.function == Function(
        handler="handler.lambda_handler",
        source=(Source("layers/x/function", ".", ()), Source("shared", "shared", ("*.md",))),
        events=("layers/x/events/predict.json",),
        environment={"BUCKET": Variable(required=True), "MODE": Variable(value=""), "TOKEN": Variable(secret=True)},
        memory=1536 * MIB,
        timeout=900,
    )
    assert made.image is not None
    assert made.image.base == "registry.example.org/python:3.11"
    assert made.accept == (Accept("missing-import", "python/pkg/extra.py", "optional feature, never used here"),)


def test_a_recipe_is_frozen() -> None:
    made = parse(MINIMAL, "recipes/x.toml")
    with pytest.raises(AttributeError, match="immutable"):
        made.name = "y"  # type: ignore[misc]
    with pytest.raises(AttributeError, match="immutable"):
        made.budget.warn = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ('"250 MiB"', QUOTA),
        ('"250MiB"', QUOTA),
        ('"220 MB"', 220_000_000),
        ('"220000 kB"', 220_000_000),
        ('"220000 KB"', 220_000_000),
        ('"0.2 GB"', 200_000_000),
        ('"1024 KiB"', MIB),
        ('"262144000 B"', QUOTA),
        ("262144000", QUOTA),
        ("1", 1),
    ],
)
def test_sizes_are_bytes(written: str, size: int) -> None:
    assert parse(text(tables=f"[budget]\nunzipped = {written}"), "x.toml").budget.unzipped == size


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(MINIMAL.replace("\n", "\r\n"), id="CRLF"),
        pytest.param("\ufeff" + MINIMAL, id="byte order mark"),
        pytest.param("#:schema x.json\n" + MINIMAL, id="schema line"),
    ],
)
def test_what_editors_leave_behind_changes_nothing(source: str) -> None:
    assert parse(source, "recipes/x.toml") == parse(MINIMAL, "recipes/x.toml")
    assert recipe.trusted(source) == parse(MINIMAL, "recipes/x.toml")


@pytest.mark.parametrize("where", ["recipes/x.toml", "x.toml", "C:\\project\\recipes\\x.toml", "<stdin>"])
def test_the_name_is_compared_with_the_files(where: str) -> None:
    assert parse(MINIMAL, where).name == "x"


def test_requirements_of_one_package_may_differ_by_marker() -> None:
    twice = "[\"numpy<2; python_version < '3.12'\", \"numpy>=2; python_version >= '3.12'\"]"
    assert len(parse(text(requirements=twice), "x.toml").requirements) == 2


def test_a_lower_limit_needs_no_lower_warning() -> None:
    assert parse(text(tables='[budget]\nunzipped = "10 MiB"'), "x.toml").budget.unzipped == 10 * MIB


def test_targets_are_made_in_order() -> None:
    other = '[[target]]\npython = "cp313"\narchitecture = "aarch64"\n'
    made = parse(text(tables=other), "x.toml")
    assert [target.name for target in recipe.targets(made)] == [
        "cp311-manylinux2014_x86_64",
        "cp313-manylinux_2_34_aarch64",
    ]


def test_targets_of_an_unchecked_recipe() -> None:
    made = Recipe(name="x", requirements=("numpy",), target=(TargetSpec("cp311"),))
    with pytest.raises(RecipeError) as caught:
        recipe.targets(made)
    assert caught.value.message.startswith("x: target: ")


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_projects_recipes_are_sound(path: Path) -> None:
    made = recipe.load(path)
    assert recipe.trusted(path.read_text(encoding="utf-8")) == made
    assert recipe.targets(made)


def test_the_sklearn_recipe() -> None:
    made = recipe.load(RECIPES / "sklearn.toml")
    assert made.requirements == ("scikit-learn==1.3.2", "pandas", "numpy", "scipy", "joblib", "threadpoolctl")
    assert made.constraints == ("numpy==1.26.4", "pandas==2.3.2", "scipy==1.16.3")
    assert [target.name for target in recipe.targets(made)] == [
        "cp311-manylinux2014_x86_64",
        "cp312-manylinux_2_34_x86_64",
        "cp312-manylinux_2_34_aarch64",
    ]


# --- mistakes, one at a time ---

GLOB = 'expected a relative glob with "/" between folders and without ".."'
LOCAL = 'expected "./" and the folder of a local project in this one, such as "./packages/shared[extra]"'
PATH = 'expected a path inside the project, relative to it, with "/" between folders and without ".."'
SIZE = 'expected a size such as "250 MiB", "220 MB" or a number of bytes'
STACKED = "expected the name of a recipe, a size, a number of bytes or the path of a layer zip in the project"
ONE_OF = 'expected exactly one of value = "...", required = true and secret = true'
MEMORY = 'expected whole MiB from "128 MiB" to "10240 MiB", which is what Lambda offers'
RULES = (
    'expected one of "benchmarks", "caches", "docs", "examples", "headers", "native-sources", "static-libraries", '
    '"stubs", "tests"'
)


@pytest.mark.parametrize(
    ("top", "message"),
    [
        ("find_links = []", 'find_links: unknown key; did you mean "find-links"?'),
        ("Provided = []", 'Provided: unknown key; did you mean "provided"?'),
        (
            "zzz = 1",
            (
                "zzz: unknown key; known here: name, requirements, target, description, artefacts, constraints, "
                "provided, omit, find-links, prune, native, bytecode, emit, budget, proof, function, image, builder, "
                "overlay, index, accept"
            ),
        ),
        ('"a b" = 1', None),
        ("description = 5", "description: expected a string, found 5"),
        ("description = 2026-11-22", "description: expected a string, found 2026-11-22"),
        ('description = "a\\nb"', 'description: expected one line without control characters, found "a\\nb"'),
        (f'description = "{"a" * 257}"', "description: 257 characters long; at most 256 fit"),
        ('provided = "boto3"', 'provided: expected a list of strings, found "boto3"; write ["boto3"]'),
        ("provided = [true]", "provided[0]: expected a string, found true"),
        ('provided = ["boto3>1"]', 'provided[0]: expected the name of a package alone, found "boto3>1"'),
        ('provided = ["boto3", "six", "boto3"]', 'provided[2]: "boto3" stands there twice'),
        ('omit = ["six"]', 'omit[0]: expected a table, found "six"'),
        ('omit = [{ name = "six" }]', "omit[0].reason: missing; expected a string"),
        ('omit = [{ name = "six", reason = " " }]', 'omit[0].reason: expected a reason, found " "'),
        (
            'omit = [{ name = "NumPy", reason = "large" }]',
            'omit[0].name: "NumPy" is a requirement of this recipe; remove it there instead',
        ),
        (
            'omit = [{ name = "six", reason = "a" }, { name = "Six", reason = "b" }]',
            'omit[1].name: "Six" is omitted twice',
        ),
        ('find-links = [""]', 'find-links[0]: expected a folder of wheels, found ""'),
        (
            'find-links = ["https://example.org/"]',
            'find-links[0]: expected a folder of wheels, found "https://example.org/"',
        ),
        ("artefacts = []", "artefacts: empty; at least one is needed"),
        (
            'artefacts = ["layers"]',
            'artefacts[0]: expected one of "function", "image", "layer", found "layers"; did you mean "layer"?',
        ),
        (
            'constraints = ["numpy[dev]<2"]',
            (
                "constraints[0]: expected a name and versions only, since extras belong into requirements, "
                'found "numpy[dev]<2"'
            ),
        ),
        (
            'constraints = ["numpy 2"]',
            'constraints[0]: expected a requirement that limits versions, such as "pandas<3", found "numpy 2"',
        ),
        (
            'constraints = ["numpy @ https://example.org/n.whl"]',
            (
                'constraints[0]: expected a requirement that limits versions, such as "pandas<3", '
                'found "numpy @ https://example.org/n.whl"'
            ),
        ),
        (
            f"description = [{'[' * 5}{']' * 5}]",
            "description: expected a string, found a list",
        ),
        ("description = []", "description: expected a string, found []"),
        (f"description = 0x{'f' * 5000}", "description: expected a string, found a very large number"),
    ],
)
def test_a_mistake_at_the_top(top: str, message: str | None) -> None:
    found = mistakes(text(top=top))
    if message is None:
        assert found[0].startswith('"a b": unknown key; known here: ')
    else:
        assert found == [message]


@pytest.mark.parametrize(
    ("requirements", "message"),
    [
        ("[]", "requirements: empty; at least one is needed"),
        ('"numpy"', 'requirements: expected a list of strings, found "numpy"; write ["numpy"]'),
        ("[1]", "requirements[0]: expected a string, found 1"),
        (
            '["numpy=2"]',
            (
                'requirements[0]: expected a requirement such as "pandas", "pandas>=2,<3" or "pandas==2.3.2", '
                'found "numpy=2"'
            ),
        ),
        (
            '["numpy", "-r other.txt"]',
            (
                'requirements[1]: expected a requirement such as "pandas", "pandas>=2,<3" or "pandas==2.3.2", '
                'found "-r other.txt"'
            ),
        ),
        (
            '["numpy @ https://example.org/numpy-2-py3-none-any.whl"]',
            (
                "requirements[0]: expected a name and versions, since a lock serves any index (require "
                '"numpy==VERSION", '
                "and put the wheel into a folder that find-links names), "
                'found "numpy @ https://example.org/numpy-2-py3-none-any.whl"'
            ),
        ),
        (
            '["./local", "./other", "./local/[extra]"]',
            'requirements[2]: "./local/[extra]" is required by requirements[0] already; make one of the two',
        ),
        ('["../local"]', f'requirements[0]: {LOCAL}, found "../local"'),
        ('["/local"]', f'requirements[0]: {LOCAL}, found "/local"'),
        ('[".\\\\local"]', f'requirements[0]: {LOCAL}, found ".\\\\local"'),
        ('["./local; os_name == 1"]', f'requirements[0]: {LOCAL}, found "./local; os_name == 1"'),
        ('["./local[a b]"]', 'requirements[0]: expected names of extras between the brackets, found "./local[a b]"'),
        ('["./../local"]', f'requirements[0]: {PATH}, found "./../local"'),
        (
            '["scikit-learn>=1", "Scikit_Learn"]',
            'requirements[1]: "Scikit_Learn" is required by requirements[0] already; make one of the two',
        ),
        (
            '["Boto3"]',
            (
                'requirements[0]: "Boto3" is provided by the runtime and not shipped; drop it here, or ship your own '
                'with provided = ["botocore"]'
            ),
        ),
    ],
)
def test_a_mistake_in_requirements(requirements: str, message: str) -> None:
    assert mistakes(text(requirements=requirements)) == [message]


def test_the_way_out_of_provided_names_what_the_recipe_provides() -> None:
    found = mistakes(text(top='provided = ["six", "boto3"]', requirements='["six"]'))
    assert found == [
        (
            'requirements[0]: "six" is provided by the runtime and not shipped; drop it here, or ship your own with '
            'provided = ["boto3"]'
        )
    ]


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ("[prune]\nmetdata = 1", 'prune.metdata: unknown key; did you mean "metadata"?'),
        (
            "[prune]\ndescription = 1",
            'prune.description: unknown key; "description" belongs to the top, above the first [table]',
        ),
        ("[[prune]]", "prune: expected a table, found a list"),
        ('[prune]\nrules = ["test"]', f'prune.rules[0]: {RULES}, found "test"; did you mean "tests"?'),
        ('[prune]\nrules = ["licences"]', f'prune.rules[0]: {RULES}, found "licences"'),
        ('[prune]\nrules = ["docs", "docs"]', 'prune.rules[1]: "docs" stands there twice'),
        (
            '[prune]\nmetadata = "min"',
            'prune.metadata: expected one of "keep", "minimal", "strip", found "min"; did you mean "minimal"?',
        ),
        ('[prune]\nkeep = [""]', f'prune.keep[0]: {GLOB}, found ""'),
        ('[prune]\nkeep = ["/abs"]', f'prune.keep[0]: {GLOB}, found "/abs"'),
        ('[prune]\ndrop = ["a/../b"]', f'prune.drop[0]: {GLOB}, found "a/../b"'),
        ('[prune]\ndrop = ["a\\\\b"]', f'prune.drop[0]: {GLOB}, found "a\\\\b"'),
        ("[native]\ntrim = 1", "native.trim: expected true or false, found 1"),
        ('[budget]\nunzipped = "250 megs"', f'budget.unzipped: {SIZE}, found "250 megs"'),
        ("[budget]\nunzipped = 1.5", f"budget.unzipped: {SIZE}, found 1.5"),
        ("[budget]\nunzipped = true", f"budget.unzipped: {SIZE}, found true"),
        ("[budget]\nunzipped = 0", "budget.unzipped: expected more than nothing, found 0"),
        ('[budget]\nunzipped = "0.3 B"', 'budget.unzipped: expected a whole number of bytes, found "0.3 B"'),
        (
            '[budget]\nunzipped = "251 MiB"',
            (
                "budget.unzipped: expected at most 262144000 bytes, Lambda's quota for a function and all its layers, "
                'found "251 MiB"'
            ),
        ),
        (
            '[budget]\nunzipped = "100 MB"\nwarn = "100 MiB"',
            'budget.warn: expected no more than unzipped, 100000000 bytes, found "100 MiB"',
        ),
        ('[budget]\nstack = ["a b"]', f'budget.stack[0]: {STACKED}, found "a b"'),
        ('[budget]\nstack = ["../x.zip"]', f'budget.stack[0]: {STACKED}, found "../x.zip"'),
        ("[budget]\nstack = [false]", f"budget.stack[0]: {STACKED}, found false"),
        ("[budget]\nstack = [-1]", "budget.stack[0]: expected more than nothing, found -1"),
        ('[budget]\nstack = ["x"]', 'budget.stack[0]: "x" is this recipe itself'),
        (
            '[proof]\nimports = ["a-b"]',
            'proof.imports[0]: expected the dotted name of a module, such as "sklearn.linear_model", found "a-b"',
        ),
        ('[proof]\nscript = "/abs/smoke.py"', f'proof.script: {PATH}, found "/abs/smoke.py"'),
        ('[proof]\nscript = "C:/smoke.py"', f'proof.script: {PATH}, found "C:/smoke.py"'),
        ('[proof]\ns3 = { "a b/c" = 5 }', 'proof.s3."a b/c": expected a string, found 5'),
        ('[proof]\ns3 = { "" = "x" }', 'proof.s3."": expected the key of an object, found ""'),
        ('[function]\nhandler = "a.b"', "function.source: missing; expected a list of tables"),
        ('[function]\nhandler = "a.b"\nsource = []', "function.source: empty; at least one is needed"),
        (
            '[image]\nbase = "a b"',
            'image.base: expected the reference of an image, as registry.example.org/python:3.13, found "a b"',
        ),
        (
            '[[accept]]\ncode = "missing-imports"\npath = "*"\nreason = "x"',
            'accept[0].code: expected the code of a finding, found "missing-imports"; did you mean "missing-import"?',
        ),
        (
            '[accept]\ncode = "stub-code"\npath = "*"\nreason = "x"',
            "accept: expected a list of tables, found a table; write [[accept]]",
        ),
        ('[[accept]]\ncode = "stub-code"\npath = "*"', "accept[0].reason: missing; expected a string"),
        ('[[accept]]\ncode = "stub-code"\npath = ""\nreason = "x"', f'accept[0].path: {GLOB}, found ""'),
    ],
)
def test_a_mistake_in_a_table(tables: str, message: str) -> None:
    assert mistakes(text(tables=tables)) == [message]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('handler = "handler"', 'handler: expected "module.function", found "handler"'),
        ('memory = "127 MiB"', f'memory: {MEMORY}, found "127 MiB"'),
        ('memory = "10241 MiB"', f'memory: {MEMORY}, found "10241 MiB"'),
        ('memory = "512 MB"', f'memory: {MEMORY}, found "512 MB"'),
        ("memory = 512", f"memory: {MEMORY}, found 512"),
        ("timeout = 0", "timeout: expected a whole number from 1 to 900, found 0"),
        ("timeout = 901", "timeout: expected a whole number from 1 to 900, found 901"),
        ("timeout = 60.0", "timeout: expected a whole number from 1 to 900, found 60.0"),
        ("timeout = true", "timeout: expected a whole number from 1 to 900, found true"),
        ('events = ["../e.json"]', f'events[0]: {PATH}, found "../e.json"'),
        ('source = [{ to = "." }]', "source[0].from: missing; expected a string"),
        (
            'source = [{ from = "a", to = "/x" }]',
            'source[0].to: expected a folder inside the function, "." for its root, found "/x"',
        ),
        ("environment = { AB = {} }", f"environment.AB: {ONE_OF}"),
        ('environment = { AB = { value = "", secret = true } }', f"environment.AB: {ONE_OF}"),
        ("environment = { AB = { required = false } }", f"environment.AB: {ONE_OF}"),
        (
            "environment = { A = { secret = true } }",
            (
                "environment.A: expected a letter, then letters, digits and _, at least two characters, as Lambda "
                'demands, found "A"'
            ),
        ),
        ('environment = { AB = "x" }', 'environment.AB: expected a table, found "x"'),
    ],
)
def test_a_mistake_in_the_function(line: str, message: str) -> None:
    rest = [] if line.startswith("handler") else ['handler = "a.b"']
    rest += [] if line.startswith("source") else ['source = [{ from = "a" }]']
    assert mistakes(text(tables="\n".join(["[function]", *rest, line]))) == [f"function.{message}"]


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("target = []", ["target: empty; at least one is needed"]),
        ("", ["target: missing; expected a list of tables"]),
        ('[target]\npython = "cp311"', ["target: expected a list of tables, found a table; write [[target]]"]),
        ('[[target]]\nplatform = "manylinux2014_x86_64"', ["target[0].python: missing; expected a string"]),
        ("[[target]]\npython = 311", ["target[0].python: expected a string, found 311"]),
        (TARGET + TARGET, ["target[1]: the same target as target[0], cp311-manylinux2014_x86_64"]),
        (
            (
                '[[target]]\npython = "cp311"\narchitecture = "x86_64"\n'
                '[[target]]\npython = "cp311"\nplatform = "manylinux_2_26_x86_64"'
            ),
            ["target[1]: the same target as target[0], cp311-manylinux_2_26_x86_64"],
        ),
        (
            TARGET + "constraints = []",
            ['target[0].constraints: unknown key; "constraints" belongs to the top, above the first [table]'],
        ),
    ],
)
def test_a_mistake_in_the_targets(target: str, found: list[str]) -> None:
    assert mistakes(text(target=target)) == found


@pytest.mark.parametrize(
    ("lines", "keys"),
    [
        ('python = "cp311"', ["platform"]),
        ('python = "cp311"\nplatform = "manylinux2014_x86_64"\narchitecture = "x86_64"', ["architecture"]),
        ('python = "cp311"\nplatform = "manylinux_2_28_x86_64"', ["platform"]),
        ('python = "cp311"\narchitecture = "sparc"', ["architecture"]),
        ('python = "cp27"\narchitecture = "sparc"', ["python", "architecture"]),
    ],
)
def test_targets_that_do_not_exist_are_explained_where_they_stand(lines: str, keys: list[str]) -> None:
    found = mistakes(text(target=f"{TARGET}[[target]]\n{lines}"))
    assert len(found) == len(keys)
    assert {line.split(": ")[0] for line in found} == {f"target[1].{key}" for key in keys}


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ('[builder]\nsystem-packages = ["--allow-downgrades"]', "builder.system-packages[0]"),
        ('[builder]\nsystem-packages = ["gcc; reboot"]', "builder.system-packages[0]"),
        ('[overlay]\nfrom-image = ["-x"]', "overlay.from-image[0]"),
        ('[image]\nbase = "-v/:/host"', "image.base"),
    ],
)
def test_what_programs_could_take_for_options_is_refused(tables: str, message: str) -> None:
    [found] = mistakes(text(tables=tables))
    assert found.startswith(f"{message}: expected ")


def test_a_platform_above_the_runtime_needs_a_base_of_its_own() -> None:
    high = '[[target]]\npython = "cp311"\nplatform = "manylinux_2_36_x86_64"\n'
    own = '[image]\nbase = "registry.example.org/python:3.11"\n'
    aws = '[image]\nbase = "public.ecr.aws/lambda/python:3.11"\n'
    image = 'artefacts = ["image"]'
    [target] = recipe.targets(parse(text(top=image, tables=own, target=high), "recipes/x.toml"))
    assert (target.name, target.ceiling) == ("cp311-manylinux_2_36_x86_64", (2, 36))
    for top, tables in ((image, ""), (image, aws), ("", own)):
        [found] = mistakes(text(top=top, tables=tables, target=high))
        assert "python3.11 on Lambda has glibc 2.26; manylinux_2_36 wheels cannot load there" in found


FUNCTION = '[function]\nhandler = "a.b"\nsource = [{ from = "f" }]\n'


@pytest.mark.parametrize(
    ("top", "tables", "expected"),
    [
        ('artefacts = ["layer", "function"]', FUNCTION, []),
        ('artefacts = ["function", "layer"]', FUNCTION, []),
        (
            'artefacts = ["layer", "function"]',
            "",
            ["artefacts[1]: there is no [function] that says what goes into it"],
        ),
        (
            'artefacts = ["function"]',
            FUNCTION,
            ['artefacts[0]: a function is built with its layer; expected ["layer", "function"]'],
        ),
        (
            'artefacts = ["function", "layers"]',  # the one mistake is told, not what follows from it
            FUNCTION,
            ['artefacts[1]: expected one of "function", "image", "layer", found "layers"; did you mean "layer"?'],
        ),
    ],
)
def test_a_function_is_an_artefact_beside_its_layer(top: str, tables: str, expected: list[str]) -> None:
    if expected:
        assert mistakes(text(top=top, tables=tables)) == expected
    else:
        assert "function" in parse(text(top=top, tables=tables), "x").artefacts


def test_an_index_is_checked() -> None:
    found = mistakes(text(tables='[[index]]\nname = "a b"\nurl = "https://me:secret@index.example.org"\npackages = []'))
    assert found == [
        'index[0].name: expected letters, digits, - and _, found "a b"',
        (
            "index[0].url: expected http:// or https:// and an address without spaces or credentials, "
            'found "https://me:secret@index.example.org"'
        ),
        "index[0].packages: empty; at least one is needed",
    ]


def test_a_package_has_one_index_and_an_index_a_variable_of_its_own() -> None:
    table = '[[index]]\nname = "{}"\nurl = "https://index.example.org"\npackages = {}\n'
    sound = table.format("a-b", '["x", "y"]') + table.format("c", '["z"]')
    assert [index.packages for index in parse(text(tables=sound), "recipes/x.toml").index] == [("x", "y"), ("z",)]
    assert mistakes(text(tables=table.format("a-b", '["x_1"]') + table.format("A_b", '["y", "X.1"]'))) == [
        'index[1].name: "A_b" would be overridden by the same variable as index[0].name',
        'index[1].packages[1]: "X.1" has an index already, by index[0].packages[0]',
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("5", "expected a string, found 5"),
        ('"y"', 'expected "x" as the file is named, since locks and artefacts are, found "y"'),
        *(
            (
                f'"{name}"',
                (
                    "expected at most 64 of A-Z, a-z, 0-9, - and _, not beginning with - or _, since layers and "
                    "functions "
                    f'on Lambda are named after it, found "{shown}"'
                ),
            )
            for name, shown in [
                ("", ""),
                ("a b", "a b"),
                ("-x", "-x"),
                ("\u00e4", "\u00e4"),
                ("a.b", "a.b"),
                ("a" * 65, "a" * 55 + "..."),
            ]
        ),
    ],
)
def test_a_mistake_in_the_name(name: str, message: str) -> None:
    assert mistakes(MINIMAL.replace('"x"', name)) == [f"name: {message}"]


def test_what_a_message_quotes_is_shortened() -> None:
    (line,) = mistakes(text(top=f'description = [["{"a" * 100}"]]\nfind-links = ["{"a" * 100}://"]'))[1:]
    assert line == f'find-links[0]: expected a folder of wheels, found "{"a" * 55}..."'


# --- many at once, and texts that are none ---


def test_ten_mistakes_are_ten_lines_in_the_order_of_the_file() -> None:
    source = """
nmae = "x"
requirements = ["numpy", "pandas=2", "Numpy"]
artefacts = ["layer", "picture"]
[[target]]
python = "cp311"
platform = "manylinux2014_x86_64"
os = "linux"
[prune]
metadata = "all"
rules = ["docs", 1]
[budget]
warn = "221 megs"
[bytecode]
mode = "some"
"""
    assert [line.split(": ")[0] for line in mistakes(source)] == [
        "nmae",
        "requirements[1]",
        "requirements[2]",
        "artefacts[1]",
        "target[0].os",
        "prune.metadata",
        "prune.rules[1]",
        "budget.warn",
        "bytecode.mode",
        "name",
    ]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("name = ", "recipes/x.toml: line 1, column 8: not TOML: Invalid value"),
        ('a = 1\n  b = "x', "recipes/x.toml: line 2, column 9: not TOML: Unterminated string"),
        ('name = "x"\nname = "y"', "recipes/x.toml: line 2, column 11: not TOML: Cannot overwrite a value"),
    ],
)
def test_text_that_is_no_toml(source: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse(source, "recipes/x.toml")
    assert caught.value.message == message
    assert caught.value.hint == "TOML's syntax: https://toml.io"


@pytest.mark.parametrize("source", [f"a = {'9' * 5000}", f"a = {'[' * 5000}"], ids=["digits", "lists"])
def test_text_that_python_gives_up_on(source: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse(source, "x.toml")
    assert caught.value.message.startswith("x.toml: ")


def test_bytes_that_are_not_utf8() -> None:
    with pytest.raises(RecipeError) as caught:
        recipe.decode('a = 1\nb = "\u00e9"'.encode("latin-1"), "recipes/x.toml")
    assert caught.value.message == "recipes/x.toml: line 2: not UTF-8: byte 0xe9"
    assert caught.value.hint == "Save the file as UTF-8."


# --- files ---


def test_a_missing_recipe_names_those_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "sklearn.toml").touch()
    (tmp_path / "torch.toml").touch()
    with pytest.raises(RecipeError) as caught:
        recipe.load(tmp_path / "sklaern.toml")
    folder = tmp_path.as_posix()
    assert caught.value.message == f"{folder}/sklaern.toml: no such recipe"
    assert caught.value.hint == f"Did you mean sklearn? Recipes in {folder}: sklearn, torch."


def test_a_missing_recipe_where_there_are_none(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe.load(tmp_path / "recipes" / "x.toml")
    assert caught.value.hint == "Write one with `lamina recipe new NAME`."


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    (tmp_path / "torch.toml").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(RecipeError) as caught:
        recipe.load(tmp_path / "folder")
    assert caught.value.message == f"{tmp_path.as_posix()}/folder: a folder, not a recipe"
    assert caught.value.hint == f"Recipes in {tmp_path.as_posix()}: torch."


def test_a_path_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe.load(tmp_path / "a\0.toml")
    assert caught.value.hint == "Check the path and its permissions."


def test_a_file_is_read_as_its_text_is(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(("\ufeff" + MINIMAL).replace("\n", "\r\n").encode())
    assert recipe.load(path) == parse(MINIMAL, "x.toml")
