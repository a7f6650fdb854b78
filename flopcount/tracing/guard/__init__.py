"""A count leaves no trace: everything that a forward pass may change is restored, or is not touched at all.

`preserve` combines all that one count restores: `held` the Python objects, `keeper` the tensors. `exits` handles data
that leaves torch, `threads` other threads, and `distributed` modules that are wrapped or sharded.
"""

__all__: list[str] = []
