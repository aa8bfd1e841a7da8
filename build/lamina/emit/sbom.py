"""The software bill of materials: CycloneDX 1.6 JSON of everything that was in the wheels of a layer, before pruning.

What a scanner for vulnerabilities needs is what the code was built from, and pruning drops just those files that tell:
embedded bills of materials, and libraries under names with hashes. So each wheel is a component with the native
libraries and the embedded components (PEP 770) within it. Source of the format:
https://cyclonedx.org/docs/1.6/json; of purls: https://github.com/package-url/purl-spec.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import lamina
from lamina.emit import embedded, native, stated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cyclonedx.model import ExternalReference
    from cyclonedx.model.component import Component
    from cyclonedx.model.license import License

    from lamina.part.model import Facts, Index

#: Names of our properties: of a layer, what it was built for; of a library, where it stands in the wheel as a layer
#: has it; of an embedded component, which file of the metadata lists it; of a wheel, which such file is unreadable.
TARGET, PATH, LISTED_IN, UNREADABLE = "lamina:target", "lamina:path", "lamina:sbom", "lamina:unreadable-sbom"


def render(name: str, description: str, target_name: str, parts: Sequence[tuple[Index, Facts]]) -> bytes:
    """The bill of a layer as indented JSON, UTF-8, with a line feed at its end.

    The same bytes for the same input, whatever the order of ``parts``: there is no time stamp and no serial number.
    """
    from cyclonedx.model import Property
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.tool import ToolRepository
    from cyclonedx.output.json import JsonV1Dot6

    layer = Component(
        type=ComponentType.LIBRARY,
        bom_ref=f"{name}-{target_name}",
        name=name,
        description=description or None,
        properties=[Property(name=TARGET, value=target_name)],
    )
    tool = Component(type=ComponentType.APPLICATION, name="lamina", version=lamina.__version__)
    wheels = [_wheel(index, facts) for index, facts in parts]
    bom = Bom(
        metadata=BomMetaData(component=layer, tools=ToolRepository(components=[tool])),
        components=wheels,
    )
    for wheel in wheels:
        bom.register_dependency(layer, [wheel])
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    # The library makes both up anew each time; a bill of the same wheels is the same bill.
    del document["serialNumber"], document["metadata"]["timestamp"]
    text = json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True)
    return (text + "\n").encode("utf-8", errors="replace")


def _wheel(index: Index, facts: Facts) -> Component:
    """One wheel, with what it holds."""
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.component import Component, ComponentScope, ComponentType
    from packageurl import PackageURL

    purl = PackageURL("pypi", name=index.name, version=index.version, qualifiers={"file_name": index.wheel})
    listed, unreadable = _listed(index, facts)
    return Component(
        type=ComponentType.LIBRARY,
        bom_ref=str(purl),
        name=index.name,
        version=index.version,
        scope=ComponentScope.REQUIRED,
        purl=purl,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=index.wheel_sha256)],
        licenses=_licences(stated.licence(facts.metadata).values),
        external_references=_references(facts),
        properties=[Property(name=UNREADABLE, value=problem) for problem in unreadable],
        components=[*_libraries(index), *listed],
    )


def _libraries(index: Index) -> Iterator[Component]:
    """The native libraries that stand in the wheel as files, by their digest there."""
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.component import Component, ComponentType

    for entry in index.entries:
        found = native.library(entry)
        if found is not None:
            yield Component(
                type=ComponentType.LIBRARY,
                bom_ref=f"{index.wheel}/{entry.path}",
                name=found.name,
                version=found.version or None,
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=entry.sha256.hex())],
                properties=[Property(name=PATH, value=entry.path)],
            )


def _listed(index: Index, facts: Facts) -> tuple[list[Component], list[str]]:
    """What the wheel's own bills list, each once; and the bills that cannot be read, with the reason."""
    found: dict[embedded.Component, str] = {}
    unreadable = []
    for path, text in sorted(facts.sboms):
        reading = embedded.read(text, index.name)
        problem = reading.problem
        if len(found) + len(reading.components) > embedded.MOST_COMPONENTS:
            problem = f"more than {embedded.MOST_COMPONENTS:,} components in one wheel"
        if problem:
            unreadable.append(f"{path}: {problem}")
        else:
            found.update((component, path) for component in reading.components if component not in found)
    numbered = enumerate(found.items(), 1)
    return [_part(each, path, f"{index.wheel}/{path}#{number}") for number, (each, path) in numbered], unreadable


def _part(found: embedded.Component, path: str, ref: str) -> Component:
    """One component of an embedded bill."""
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    try:
        purl = PackageURL.from_string(found.purl) if found.purl else None
    except ValueError:
        purl = None  # name and version still tell what it is
    return Component(
        type=ComponentType(found.type),
        bom_ref=ref,
        group=found.group or None,
        name=found.name,
        version=found.version or None,
        purl=purl,
        licenses=_licences(found.licences),
        properties=[Property(name=LISTED_IN, value=path)],
    )


def _licences(values: Sequence[str]) -> list[License]:
    """Licences as declared: SPDX identifiers and expressions where they are valid ones, names otherwise."""
    from cyclonedx.contrib.license.exceptions import InvalidSpdxLicenseException
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model.license import LicenseAcknowledgement

    factory, declared = LicenseFactory(), LicenseAcknowledgement.DECLARED
    if len(values) == 1:
        return [factory.make_from_string(values[0], license_acknowledgement=declared)]
    licences: list[License] = []
    for value in values:  # an expression cannot stand beside others
        try:
            licences.append(factory.make_with_id(value, acknowledgement=declared))
        except InvalidSpdxLicenseException:
            licences.append(factory.make_with_name(value, acknowledgement=declared))
    return licences


def _references(facts: Facts) -> Iterator[ExternalReference]:
    """Home page and source repository."""
    from cyclonedx.model import ExternalReference, ExternalReferenceType, XsUri

    links = stated.links(facts.metadata)
    if links.home:
        yield ExternalReference(type=ExternalReferenceType.WEBSITE, url=XsUri(links.home))
    if links.source:
        yield ExternalReference(type=ExternalReferenceType.VCS, url=XsUri(links.source))
