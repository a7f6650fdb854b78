"""A count leaves no trace: what a forward pass may change is put back, or is not touched at all.

`preserve` puts together what one count sets aside; `held` has what Python holds, `keeper` what tensors hold, `exits`
what leaves torch, `threads` what runs beside, `distributed` what is refused or counted without its wrapping.
"""

__all__: list[str] = []
