"""The recipe to start from, which ``lamina recipe new NAME`` writes: every key, with its default and what it does."""

from __future__ import annotations

from lamina.errors import RecipeError

#: From a recipe in ``recipes/`` to the schema as this project has it.
SCHEMA = "../build/lamina/recipe/recipe.schema.json"

_TEXT = """\
#:schema {schema}
# A recipe: what a Lambda layer is made of, and for which targets. Lines that begin with "#" and a key show the key's
# default, or an example where it says so; take the "#" away to change them.
#
#   lamina lock {name}      choose wheels, exactly, for every target
#   lamina build {name}     make the layer, in dist/

name = "{name}"                       # the file's name, too: locks and artefacts are named after it
#description = ""
#artefacts = ["layer"]                # and "function": the zip that [function] below describes

# What the layer must offer. What these need comes along. A project of this repository is named by its folder and
# built from what stands there: "./packages/shared" or "./packages/app[extra]".
requirements = ["numpy"]

# Limits on versions, also of what only comes along; they require nothing themselves.
#constraints = []

# The runtime has these: resolved with, never shipped, nor what only they need.
#provided = ["boto3", "botocore"]

# Resolved, not shipped, each with the reason. Example:
#   omit = [{{ name = "kubernetes", reason = "client of a cluster, never imported" }}]
#omit = []

# Folders of wheels, beside the index.
#find-links = []

# Where the layer must load; one zip each. An architecture, x86_64 or aarch64, takes the newest wheels that the
# runtime loads. A platform caps the choice instead:
#   platform = "manylinux2014_x86_64"
[[target]]
python = "cp313"
architecture = "x86_64"

# What is left out. A rule only proposes: what kept code refers to stays, and `lamina explain {name}` says why.
[prune]
#rules = ["tests", "docs", "examples", "benchmarks", "caches", "static-libraries", "headers", "stubs", "native-sources"]
#metadata = "minimal"                 # of each .dist-info: keep | minimal | strip
#keep = []                            # globs that no rule may drop, relative to site-packages
#drop = []                            # globs to drop whatever the rules say
#untraced = []                        # globs; what no proof touched is dropped: lamina trace {name} records that

[native]
#trim = true                          # drop what no loader maps: symbol tables, debug information

[bytecode]
#mode = "fit"                         # off, fit, all, sourceless

[emit]
#compression = "copy"                 # or "small": compressed again, as hard as can be, once
#dedupe = false                       # identical files as relative symlinks

# The limit is on the whole function: this layer, what stands in stack, the function's own code.
[budget]
#unzipped = "250 MiB"                 # an error above; this is Lambda's quota
#warn = "220 MiB"
#stack = []                           # names of other recipes, sizes, byte counts or layer zips

# What `lamina prove {name}` runs. Examples:
#   imports = ["numpy.linalg"]
#   script = "layers/{name}/smoke.py"
#   s3 = {{ "models/model.pkl" = "layers/{name}/events/model.pkl" }}    put into a loopback S3 before events run
[proof]
#imports = []

# The slim function beside the layer. Example:
#   [function]
#   handler = "handler.lambda_handler"
#   source = [{{ from = "layers/{name}/function", to = ".", exclude = [] }}]
#   events = ["layers/{name}/events/predict.json"]        what is expected of it: predict.expect.json beside it
#   environment = {{ BUCKET = {{ required = true }} }}          or {{ value = "..." }}, {{ secret = true }}
#   memory = "512 MiB"
#   timeout = 60                                          seconds

# The image; without a base, the runtime's own. Example:
#   [image]
#   base = "registry.example.org/python:3.13"

[builder]
#kind = "uv"                          # or "docker": pip-tools in the base image, which builds what has no wheel
#system-packages = []                 # of the base image's package manager: compilers, headers, libraries

[overlay]
#from-image = []                      # of those packages: "libgomp.so.1", "tesseract", "/usr/share/data"

# An index for these packages only; LAMINA_INDEX_TORCH_CPU (URL or folder) overrides the url. Example:
#   [[index]]
#   name = "torch-cpu"
#   url = "https://index.example.org/whl/cpu"
#   packages = ["torch"]

# A finding judged acceptable; it stays visible. Example:
#   [[accept]]
#   code = "missing-import"
#   path = "python/pkg/extra.py"
#   reason = "optional feature, never used here"
"""


def template(name: str, schema: str = SCHEMA) -> str:
    """Write the starting recipe called ``name``; ``schema`` is the path or URL of the schema, as seen from the file.

    Raises:
        RecipeError: no recipe can have that name.
    """
    from lamina.recipe.values import STRINGS
    from lamina.recipe.words import show

    wrong = STRINGS["name"](name)
    if wrong:
        raise RecipeError(f"{show(name)}: {wrong}", hint="Choose another name.")
    return _TEXT.format(name=name, schema=schema)
