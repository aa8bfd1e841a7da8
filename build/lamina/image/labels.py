"""What an image says of itself: annotations of its manifest, and the same as labels of its configuration.

Source of the names: OCI image-spec 1.1, "Annotations".
"""

from __future__ import annotations

from lamina.image.origin import Origin
from lamina.oci.model import Image
from lamina.recipe import Recipe

_PREFIX = "org.opencontainers.image."


def labels(recipe: Recipe, origin: Origin, licences: str, base: Image, base_name: str) -> dict[str, str]:
    """The labels of a recipe's image; one that nothing is known for is left out.

    ``licences`` is an SPDX expression. ``base_name`` is empty for a base that is a file of this machine.
    """
    stated = {
        "title": recipe.name,
        "description": recipe.description,
        "source": origin.url,
        "revision": origin.revision,
        "licenses": licences,
        "base.name": base_name,
        "base.digest": base.digest,
    }
    return {_PREFIX + key: value for key, value in stated.items() if value}
