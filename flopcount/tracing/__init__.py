"""Module + input -> every ATen-level operation with its module path and shapes; nothing is changed.

`trace` runs one forward pass on the first engine of the ladder that can; `weightless` builds a module without weights.
"""

from .building import lightest, require_room, weighted, weightless
from .engines import ENGINES
from .forward import trace
from .guard.threads import TURN
from .targets import module_of

__all__ = ["ENGINES", "TURN", "lightest", "module_of", "require_room", "trace", "weighted", "weightless"]
