"""Qube's own back ends, in whose place childminder's stand."""
