"""The counters that a check can ask, one file each: it runs the tool and says why its count is not ours.

Each offers a PEER, under the name of the tool's package, which is the file's name too; `..tools` has the list.
"""

__all__: list[str] = []
