"""Base classes for back ends under Qube's module names, in childminder's own words."""
