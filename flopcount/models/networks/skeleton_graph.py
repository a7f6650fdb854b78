"""Skeletons as graphs: the joints of three layouts, which of them are connected, and the matrices that mix them.

Papers: ST-GCN, https://arxiv.org/abs/1801.07455 (section 3.3: spatial configuration partitioning), and ST-GCN++,
https://arxiv.org/abs/2205.09443. Facts followed, limbs and centres: https://github.com/open-mmlab/mmaction2,
mmaction/models/utils/graph.py.

A network over skeletons sees no pixels. Its clip is read as frames × joints × persons, and its input has the joint's
place in each: (persons, frames, joints, 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...core.errors import InputError
from ...core.protocol import Clip

__all__ = [
    "COORDINATES",
    "SKELETON_LAYOUT",
    "JointNorm",
    "Skeleton",
    "by_direction",
    "by_distance",
    "skeleton_input",
    "skeleton_of",
]

COORDINATES = 3  # x, y and z of a joint; x, y and a score where it is found in a picture


@dataclass(frozen=True, slots=True)
class Skeleton:
    """Joints, the limbs between them (from the outer joint to the inner one), and the joint in the middle."""

    name: str
    joints: int
    limbs: tuple[tuple[int, int], ...]
    center: int


def _numbered_from_one(*limbs: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    return tuple((outer - 1, inner - 1) for outer, inner in limbs)


COCO = Skeleton(
    "COCO",
    17,
    (
        *((15, 13), (13, 11), (16, 14), (14, 12), (11, 5), (12, 6), (9, 7), (7, 5)),
        *((10, 8), (8, 6), (5, 0), (6, 0), (1, 0), (3, 1), (2, 0), (4, 2)),
    ),
    0,
)
OPENPOSE = Skeleton(
    "OpenPose",
    18,
    (
        *((4, 3), (3, 2), (7, 6), (6, 5), (13, 12), (12, 11), (10, 9), (9, 8), (11, 5)),
        *((8, 2), (5, 1), (2, 1), (0, 1), (15, 0), (14, 0), (17, 15), (16, 14)),
    ),
    1,
)
NTU = Skeleton(
    "NTU RGB+D",
    25,
    _numbered_from_one(
        *((1, 2), (2, 21), (3, 21), (4, 3), (5, 21), (6, 5), (7, 6), (8, 7), (9, 21), (10, 9), (11, 10), (12, 11)),
        *((13, 1), (14, 13), (15, 14), (16, 15), (17, 1), (18, 17), (19, 18), (20, 19), (22, 8), (23, 8)),
        *((24, 12), (25, 12)),
    ),
    20,
)
SKELETONS = {skeleton.joints: skeleton for skeleton in (COCO, OPENPOSE, NTU)}


def skeleton_of(clip: Clip) -> Skeleton:
    """The skeleton with as many joints as the clip has.

    Raises:
        InputError: no layout has so many.
    """
    joints = clip.height
    if joints not in SKELETONS:
        known = ", ".join(f"{number} ({skeleton.name})" for number, skeleton in SKELETONS.items())
        raise InputError(
            f"clip {clip} has {joints} joints, and no skeleton has",
            [
                ("in", "the graph of joints"),
                ("seen", "a clip of frames × joints × persons: this network takes skeletons, not pixels"),
                ("fix", f"give {known} joints, such as --clip {clip.frames}x17x2"),
            ],
        )
    return SKELETONS[joints]


SKELETON_LAYOUT: Mapping[str, str] = {"x": "BMTVC"}
"""The axes of the only input: videos, persons, frames, joints, coordinates."""


def skeleton_input(clip: Clip) -> tuple[tuple[int, int, int, int]]:
    """The shape of the only input without the batch: persons, frames, joints, coordinates."""
    return ((clip.width, clip.frames, clip.height, COORDINATES),)


def by_distance(skeleton: Skeleton) -> Tensor:
    """ST-GCN's three matrices (3, V, V): a joint itself, neighbours nearer to the centre, neighbours farther from it.

    Each joint takes the mean of its neighbours and itself, so a column of the three together sums to 1. Joints that are
    more than one limb away from the centre count as equally far (the code knows distances up to one limb).
    """
    joints = range(skeleton.joints)
    near = {(joint, joint) for joint in joints}
    near |= {pair for outer, inner in skeleton.limbs for pair in ((outer, inner), (inner, outer))}

    def distance(joint: int) -> int:
        if joint == skeleton.center:
            return 0
        return 1 if (joint, skeleton.center) in near else 2

    kinds = torch.zeros(3, skeleton.joints, skeleton.joints)
    for source, target in near:
        kind = 0 if source == target else 1 if distance(source) >= distance(target) else 2
        kinds[kind, source, target] = 1 / sum((other, target) in near for other in joints)
    return kinds


def by_direction(skeleton: Skeleton) -> Tensor:
    """Three matrices (3, V, V): a joint itself, limbs inwards, limbs outwards; each column sums to 1, or is empty."""
    kinds = torch.zeros(3, skeleton.joints, skeleton.joints)
    for joint in range(skeleton.joints):
        kinds[0, joint, joint] = 1
    for outer, inner in skeleton.limbs:
        kinds[1, inner, outer] = 1 / sum(other == outer for other, _ in skeleton.limbs)
        kinds[2, outer, inner] = 1 / sum(other == inner for _, other in skeleton.limbs)
    return kinds


class JointNorm(nn.Module):
    """Skeletons (B, M, T, V, 3) -> maps (B·M, 3, T, V), each coordinate of each joint normalised over time.

    Arguments:
        joints: V.
        persons: M, where those of each person have weights of their own (2s-AGCN); 1 where persons share them (ST-GCN).
    """

    def __init__(self, joints: int, persons: int = 1) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(persons * joints * COORDINATES)

    def forward(self, x: Tensor) -> Tensor:
        """Maps of one person each."""
        _, persons, frames, joints, coordinates = x.shape
        signals = x.permute(0, 1, 3, 4, 2).reshape(-1, self.norm.num_features, frames)
        apart = self.norm(signals).reshape(-1, persons, joints, coordinates, frames)
        maps: Tensor = apart.permute(0, 1, 3, 4, 2).flatten(0, 1)
        return maps
