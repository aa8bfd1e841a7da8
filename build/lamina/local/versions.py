"""Versions that the environment states, where version control cannot: a build depends on them."""

from __future__ import annotations

from collections.abc import Mapping

_STATED = ("SETUPTOOLS_SCM_PRETEND_VERSION", "VCS_VERSIONING_PRETEND_VERSION", "PBR_VERSION", "PDM_BUILD_SCM_VERSION")


def stated(env: Mapping[str, str]) -> dict[str, str]:
    """The variables of that kind, by name; backends read them, so they are part of what a wheel is made from."""
    return {name: value for name, value in sorted(env.items()) if name.startswith(_STATED)}
