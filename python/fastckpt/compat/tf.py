"""The namespace itself: ``from fastckpt.compat import tf``."""

import sys

from fastckpt.compat.namespace import namespace

# Whoever imports this module gets the namespace in its place.
sys.modules[__name__] = namespace("")
