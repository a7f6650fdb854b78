"""flopcount tells what a video network costs, exactly and with reasons, before anyone runs it.

    >>> import flopcount
    >>> report = flopcount.count_flops(flopcount.create_model("c3d"), (1, 3, 16, 112, 112))
    >>> report.macs
    38548959232

Names are loaded when first used, from where `__init__.pyi` says, so that the command answers `--help` and `list`
without importing torch.
"""

from __future__ import annotations

import lazy_loader

from . import output as _formats  # noqa: F401  (tables learn their formats)
from ._version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
