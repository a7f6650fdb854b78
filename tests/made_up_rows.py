"""A made-up row of a comparison, of no existing network."""

from flopcount.core.protocol import Clip
from flopcount.publishing.comparison_rows import Row


def made_up(name="a", macs=10, top1=50.0, views=1, params=1000):
    return Row(name, "3D CNN", Clip(1, 1, 1), str(views), views, macs, params, top1, None, "none", "s", "u", "l")
