"""What is ours alone of the helper that runs a Qube back-end class: the bridge, the session, the farm's two faces.

``qb`` and ``qb.backend`` next door are the names that a studio's class imports; they stand on this package.
Standard library only, Python 2.7 and 3.6 to 3.14 and PyPy.
"""
