"""A module of Qube's that childminder has none for."""
HERE = True
