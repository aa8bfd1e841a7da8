"""Bytecode beside or in place of a layer's sources: compiled once for each part, chosen for each layer.

``/opt`` is read-only, so what a layer ships without bytecode is compiled again at every cold start. It ships as PEP 552
has it, named by a hash that nothing checks: timestamps would not survive a zip of fixed dates.
"""

#: Counted up with every change of how bytecode is made or chosen; it is part of the names of both.
FORMAT = 4
