"""The non-local block (Wang et al. 2018, "Non-local Neural Networks"), for 2D and 3D networks.

Paper: https://arxiv.org/abs/1711.07971 (section 3, figure 2). Code followed:
https://github.com/facebookresearch/video-nonlocal-net, lib/models/nonlocal_helper.py, and its later form in
https://github.com/facebookresearch/SlowFast, slowfast/models/nonlocal_helper.py: keys are pooled before φ and g, while
the paper pools after them (so does mmaction2), and the embedded Gaussian divides by √C', while the paper does not.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ...core.errors import UnknownNameError

__all__ = ["PAIRWISE", "NonLocal", "insert_nonlocal"]

PAIRWISE = ("gaussian", "embedded_gaussian", "dot_product", "concatenation")
_LAYERS = {2: (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d), 3: (nn.Conv3d, nn.BatchNorm3d, nn.MaxPool3d)}


class NonLocal(nn.Module):
    """Features (B, C, *S) -> the same shape: each position adds a weighted sum over all positions.

    The last norm starts at zero, so that a fresh block does not change the output of its network.

    Arguments:
        channels: C.
        dimensions: 2 for S = (H, W), 3 for S = (T, H, W).
        pairwise: f(x_i, x_j), one of `PAIRWISE`; a softmax normalises Gaussians, the number of keys the others.
        pool_keys: halve H and W of the keys ("subsampling" in the paper); all positions stay queries.
        pool_after: pool after φ and g instead of before them, which makes these cost four times as much.
        inner_channels: of θ, φ and g; half of C in the paper.
        pool_frames: halve T of the keys too.
        out_bias: the last convolution has a bias, as in both codes followed; in mmcv's it has none.
        group_frames: positions see only those of their group of frames, as many as this; all frames if there are fewer.
    """

    def __init__(
        self,
        channels: int,
        *,
        dimensions: int = 3,
        pairwise: str = "embedded_gaussian",
        pool_keys: bool = True,
        pool_after: bool = False,
        inner_channels: int | None = None,
        pool_frames: bool = False,
        out_bias: bool = True,
        group_frames: int | None = None,
    ) -> None:
        super().__init__()
        if pairwise not in PAIRWISE:
            raise UnknownNameError("pairwise function", pairwise, PAIRWISE, f"choose {', '.join(PAIRWISE)}")
        conv, norm, pool = _LAYERS[dimensions]
        inner = inner_channels or channels // 2
        self.pairwise = pairwise
        self.pool_after = pool_after
        self.group_frames = group_frames
        self.conv_theta = self.conv_phi = None
        if pairwise != "gaussian":  # a Gaussian compares the features themselves
            self.conv_theta = conv(channels, inner, 1)
            self.conv_phi = conv(channels, inner, 1)
        if pairwise == "concatenation":
            # w_f · [θ_i, φ_j] = w_θ · θ_i + w_φ · φ_j: a number per position, not per pair of positions
            self.weight_theta = nn.Linear(inner, 1, bias=False)
            self.weight_phi = nn.Linear(inner, 1, bias=False)
        self.conv_g = conv(channels, inner, 1)
        self.conv_out = conv(inner, channels, 1, bias=out_bias)
        self.pool = pool((2 if pool_frames else 1, 2, 2)[3 - dimensions :]) if pool_keys else nn.Identity()
        self.norm = norm(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, C, *S)."""
        group = self.group_frames
        if group is None or x.shape[2] <= group:
            return self._added_to(x)
        batch = x.shape[0]
        grouped = x.unflatten(2, (-1, group)).transpose(1, 2).flatten(0, 1)  # (B·T/group, C, group, H, W)
        maps: Tensor = self._added_to(grouped).unflatten(0, (batch, -1))  # (B, T/group, C, group, H, W)
        return maps.transpose(1, 2).flatten(2, 3)

    def _added_to(self, x: Tensor) -> Tensor:
        keys = x if self.pool_after else self.pool(x)
        theta = x if self.conv_theta is None else self.conv_theta(x)
        phi = keys if self.conv_phi is None else self.conv_phi(keys)
        values = self.conv_g(keys)
        if self.pool_after:
            phi, values = self.pool(phi), self.pool(values)
        theta, phi, values = theta.flatten(2), phi.flatten(2), values.flatten(2)  # (B, C', N), (B, C', M) twice
        summed = values @ self._weights(theta, phi).transpose(1, 2)  # (B, C', N)
        added: Tensor = self.norm(self.conv_out(summed.unflatten(2, x.shape[2:])))
        return x + added

    def _weights(self, theta: Tensor, phi: Tensor) -> Tensor:
        """The weight of each of M keys for each of N positions (B, N, M)."""
        if self.pairwise == "concatenation":
            query: Tensor = self.weight_theta(theta.transpose(1, 2))  # (B, N, 1)
            key: Tensor = self.weight_phi(phi.transpose(1, 2))  # (B, M, 1)
            return torch.relu(query + key.transpose(1, 2)) / phi.shape[2]
        affinity = theta.transpose(1, 2) @ phi
        if self.pairwise == "dot_product":
            return affinity / phi.shape[2]
        if self.pairwise == "embedded_gaussian":
            affinity = affinity * theta.shape[1] ** -0.5
        return affinity.softmax(2)


def insert_nonlocal(
    model: nn.Module,
    places: Mapping[str, int],
    *,
    dimensions: int = 3,
    pairwise: str = "embedded_gaussian",
    pool_keys: bool = True,
    pool_after: bool = False,
    pool_frames: bool = False,
    out_bias: bool = True,
    group_frames: int | None = None,
) -> None:
    """Add a non-local block after each named submodule, whose output has the given number of channels; in place.

    The submodule "x" becomes a sequence of "x.block" and "x.nonlocal". A ResNet of images takes `dimensions=2`.
    """
    for path, channels in places.items():
        parent, _, name = path.rpartition(".")
        owner = model.get_submodule(parent)
        sequence = nn.Sequential()
        sequence.add_module("block", owner.get_submodule(name))
        block = NonLocal(
            channels,
            dimensions=dimensions,
            pairwise=pairwise,
            pool_keys=pool_keys,
            pool_after=pool_after,
            pool_frames=pool_frames,
            out_bias=out_bias,
            group_frames=group_frames,
        )
        sequence.add_module("nonlocal", block)
        owner.add_module(name, sequence)
