"""Wheels that are made here: of local projects, from what stands in the working tree, and of source distributions.

A local project is ``"./packages/shared"`` among the requirements.

A project is built when its sources are not those of a wheel that the store has: edit code, build, and the layer has it.
The lock pins what the project needs, not what it holds, so that only an edit of its dependencies makes the lock stale.
A warm build hashes the sources and finds the wheel; it starts no process and imports nothing of the builder.

Pure Python is built on this machine. Native code, and what the lock names as a source distribution, is built inside the
base image of the target, where the recipe's builder is docker (:mod:`lamina.local.native`).
"""

from lamina.local.workshop import Workshop

__all__ = ["Workshop"]
