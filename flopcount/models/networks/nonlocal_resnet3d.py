"""3D ResNets with non-local blocks (Wang et al. 2018, "Non-local Neural Networks").

Paper: https://arxiv.org/abs/1711.07971 (section 5.1). Code followed: https://github.com/facebookresearch/SlowFast,
configs/Kinetics/{C2D,I3D,SLOW}_NLN_*.yaml, where blocks pool their keys 1×2×2 (slowfast/config/defaults.py,
NONLOCAL.POOL), and for the networks of 32 and 128 frames https://github.com/facebookresearch/video-nonlocal-net,
lib/models/resnet_video_org.py. For 128 frames that code lets the blocks of res3 look at four frames at a time, to save
memory (lib/models/nonlocal_helper.py, add_nonlocal_group; `grouped` here); with 32 frames, four are all of them. The
SlowFast paper prints a cost of 282 GFLOPs, in which res3 sees all frames.
https://github.com/open-mmlab/mmaction2 pools keys behind φ and g and has no bias before the last norm (`pool_after`,
`out_bias`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from ...core.errors import InputError
from ...core.protocol import Clip
from .nonlocal_block import insert_nonlocal
from .resnet3d import (
    ResNet3d,
    ResStage,
    c2d_r50,
    c2d_r101,
    i3d_r50,
    i3d_r50_32x2,
    i3d_r101,
    i3d_r101_32x2,
    slow_r50_8x8,
)
from .sized_network import SizedNetwork

__all__ = [
    "c2d_nl_r50",
    "c2d_nl_r101",
    "i3d_nl_r50",
    "i3d_nl_r50_32x2",
    "i3d_nl_r101",
    "i3d_nl_r101_32x2",
    "slow_nl_r50_8x8",
]

GROUP = 4
"""Frames that a block of res3 sees together in the released network of 128 frames."""


def _places(model: ResNet3d, blocks: int) -> dict[str, int]:
    """The places of the paper's 1, 5 or 10 non-local blocks, and their channels (section 5.1).

    One is before the last block of res4; five are after every second block of res3 and res4; ten after every block.
    A ResNet-101 gets the same number, further apart: where they stand in a stage changes no cost.
    """
    stages = {name: part for name, part in model.blocks.named_children() if isinstance(part, ResStage)}
    res3, res4 = islice(stages.items(), 1, 3)
    deep = len(res4[1].res_blocks) > 6
    places: dict[int, tuple[Sequence[int], Sequence[int]]] = {
        1: ((), (21,) if deep else (4,)),
        5: ((1, 3), (6, 13, 20) if deep else (1, 3, 5)),
        10: (range(4), range(2, 20, 3) if deep else range(6)),
    }
    if blocks not in places:
        raise InputError(f"{blocks} non-local blocks", [("fix", "give nonlocal_blocks 1, 5 or 10, as in the paper")])
    return {
        f"blocks.{name}.res_blocks.{block}": channels
        for (name, _), channels, chosen in zip((res3, res4), (512, 1024), places[blocks], strict=True)
        for block in chosen
    }


def _with_nonlocal(
    network: SizedNetwork,
    clip: Clip,
    nonlocal_blocks: int,
    *,
    pairwise: str,
    released: str = "embedded_gaussian",
    pool_keys: bool = True,
    pool_after: bool = False,
    out_bias: bool = True,
    grouped: bool = False,
) -> SizedNetwork:
    assert isinstance(network.module, ResNet3d)
    places = _places(network.module, nonlocal_blocks)
    if pool_keys and min(clip.height, clip.width) <= 16:
        fix = "give larger frames, or --set pool_keys=false"
        raise InputError(f"clip {clip} leaves 1 row or column in res4, where non-local blocks pool 2×2", [("fix", fix)])
    for stage in (512, 1024):  # channels of res3 and res4
        insert_nonlocal(
            network.module,
            {place: channels for place, channels in places.items() if channels == stage},
            pairwise=pairwise,
            pool_keys=pool_keys,
            pool_after=pool_after,
            out_bias=out_bias,
            group_frames=GROUP if grouped and stage == 512 else None,
        )
    departures = network.departures
    if nonlocal_blocks != 5:
        departures += (f"{nonlocal_blocks} non-local blocks, released with 5",)
    if pairwise != released:
        departures += (f"non-local blocks of pairwise function {pairwise}, released with {released}",)
    if not pool_keys:
        departures += ("non-local blocks with all keys, released with keys pooled 2×2",)
    elif pool_after:
        departures += ("keys pooled after φ and g, as in the paper; released with the pool before them",)
    if grouped:
        departures += (f"blocks of res3 see {GROUP} frames at a time, as in video-nonlocal-net",)
    if not out_bias:
        departures += ("no bias before the last norm of non-local blocks, as in mmcv",)
    return SizedNetwork(network.module, departures)


def c2d_nl_r50(
    clip: Clip,
    num_classes: int,
    *,
    nonlocal_blocks: int = 5,
    pairwise: str = "embedded_gaussian",
    pool_keys: bool = True,
    pool_after: bool = False,
) -> SizedNetwork:
    """C2D with 1, 5 or 10 non-local blocks (1711.07971, section 5.1)."""
    network = c2d_r50(clip, num_classes)
    return _with_nonlocal(network, clip, nonlocal_blocks, pairwise=pairwise, pool_keys=pool_keys, pool_after=pool_after)


def c2d_nl_r101(clip: Clip, num_classes: int, *, nonlocal_blocks: int = 5) -> SizedNetwork:
    """C2D on ResNet-101 with non-local blocks (the paper's table 2b)."""
    return _with_nonlocal(c2d_r101(clip, num_classes), clip, nonlocal_blocks, pairwise="embedded_gaussian")


def i3d_nl_r50(
    clip: Clip,
    num_classes: int,
    *,
    nonlocal_blocks: int = 5,
    pairwise: str = "embedded_gaussian",
    pool_keys: bool = True,
    pool_after: bool = False,
) -> SizedNetwork:
    """I3D with 1, 5 or 10 non-local blocks (1711.07971, section 5.1; PySlowFast's I3D_NLN_8x8_R50)."""
    network = i3d_r50(clip, num_classes)
    return _with_nonlocal(network, clip, nonlocal_blocks, pairwise=pairwise, pool_keys=pool_keys, pool_after=pool_after)


def i3d_nl_r101(clip: Clip, num_classes: int, *, nonlocal_blocks: int = 5) -> SizedNetwork:
    """I3D on ResNet-101 with non-local blocks (PySlowFast's I3D_NLN_8x8_R101)."""
    return _with_nonlocal(i3d_r101(clip, num_classes), clip, nonlocal_blocks, pairwise="embedded_gaussian")


def i3d_nl_r50_32x2(
    clip: Clip,
    num_classes: int,
    *,
    nonlocal_blocks: int = 5,
    pairwise: str = "embedded_gaussian",
    pool_after: bool = False,
    out_bias: bool = True,
    pool_padding: bool = True,
    grouped: bool = False,
) -> SizedNetwork:
    """I3D of 32 frames, which the stem halves twice, with non-local blocks; 128 frames in the paper's table 3."""
    _require_groups(clip, grouped)
    return _with_nonlocal(
        i3d_r50_32x2(clip, num_classes, pool_padding=pool_padding),
        clip,
        nonlocal_blocks,
        pairwise=pairwise,
        pool_after=pool_after,
        out_bias=out_bias,
        grouped=grouped,
    )


def i3d_nl_r101_32x2(
    clip: Clip,
    num_classes: int,
    *,
    nonlocal_blocks: int = 5,
    pool_padding: bool = True,
    grouped: bool = False,
    as_in_r50: bool = False,
) -> SizedNetwork:
    """The same on ResNet-101; `as_in_r50`, res4 has as many temporal kernels as in ResNet-50.

    The SlowFast paper prints 359 GFLOPs for 128 frames, which is the second.
    """
    _require_groups(clip, grouped)
    network = i3d_r101_32x2(clip, num_classes, pool_padding=pool_padding, as_in_r50=as_in_r50)
    return _with_nonlocal(network, clip, nonlocal_blocks, pairwise="embedded_gaussian", grouped=grouped)


def _require_groups(clip: Clip, grouped: bool) -> None:
    frames = -(-clip.frames // 4) // 2  # in res3
    if grouped and frames > GROUP and frames % GROUP:
        raise InputError(
            f"clip {clip} leaves {frames} frames in res3, where non-local blocks see {GROUP} at a time",
            [("fix", f"give a multiple of {8 * GROUP} frames, or --set grouped=false")],
        )


def slow_nl_r50_8x8(
    clip: Clip,
    num_classes: int,
    *,
    nonlocal_blocks: int = 5,
    pairwise: str = "dot_product",
    pool_after: bool = False,
    out_bias: bool = True,
) -> SizedNetwork:
    """Slow with non-local blocks (PySlowFast's SLOW_NLN_8x8_R50; mmaction2's compare by the embedded Gaussian)."""
    return _with_nonlocal(
        slow_r50_8x8(clip, num_classes),
        clip,
        nonlocal_blocks,
        pairwise=pairwise,
        released="dot_product",
        pool_after=pool_after,
        out_bias=out_bias,
    )
