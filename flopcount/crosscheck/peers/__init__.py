"""The counters that a check can run, a file or sub-package each: it runs the tool and says why its count differs.

Each offers a PEER, under the name of the tool's package, which is the file's name too.
"""

__all__: list[str] = []
