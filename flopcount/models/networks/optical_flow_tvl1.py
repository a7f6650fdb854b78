"""TV-L1 optical flow (Zach, Pock, Bischof 2007, "A Duality Based Approach for Realtime TV-L1 Optical Flow").

Paper: https://doi.org/10.1007/978-3-540-74936-3_22. Code followed, parameters and defaults too:
https://github.com/opencv/opencv_contrib/blob/4.x/modules/optflow/src/tvl1flow.cpp, and the description in
https://doi.org/10.5201/ipol.2013.26. An algorithm, not a network: no weights, and all of its cost is `other_flops`.

OpenCV stops a loop of at most 10·30 iterations when the flow changes by less than ε, so its cost depends on the pixels.
Here each warp has a fixed number of iterations, one of OpenCV's inner loops, and the cost is linear in it. The median
filter between those loops is left out, as in OpenCV's CUDA version.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...core.errors import InputError
from ...core.protocol import Clip
from .sized_network import SizedNetwork

__all__ = ["TVL1", "optical_flow_tvl1"]

SCALES, SCALE_STEP, WARPS, ITERATIONS = 5, 0.8, 5, 30  # nscales, scaleStep, warps, innerIterations of OpenCV
TAU, LAMBDA, THETA = 0.25, 0.15, 0.3  # time step, weight of the data term for grey values 0 to 255, tightness: OpenCV
SMALLEST_LEVEL = 16  # OpenCV's pyramid has no level with fewer rows or columns
LUMA = (0.299, 0.587, 0.114)  # grey value of (R, G, B), ITU-R BT.601, as OpenCV


class Gray(nn.Module):
    """Clip (B, 3, T, H, W) with values in 0..1 -> grey frames (B, T, H, W) with values in 0..255."""

    def forward(self, clip: Tensor) -> Tensor:
        """Grey frames (B, T, H, W)."""
        red, green, blue = clip.unbind(1)
        return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue) * 255


class Warp(nn.Module):
    """Linearises the brightness of the second image around a flow.

    Inputs: first, second (N, 1, H, W), flow (N, 2, H, W) as (x, y). Outputs: the gradient of the second image at the
    positions of the flow (N, 2, H, W), and the residual of a further flow u, at u = 0 (N, 1, H, W).
    """

    def forward(self, first: Tensor, second: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        """Gradient and residual."""
        height, width = first.shape[-2:]
        wide, high = F.pad(second, (1, 1, 0, 0), "replicate"), F.pad(second, (0, 0, 1, 1), "replicate")
        along_x = (wide[..., 2:] - wide[..., :-2]) * 0.5
        along_y = (high[..., 2:, :] - high[..., :-2, :]) * 0.5
        x = flow[:, 0] + torch.arange(width, device=flow.device)
        y = flow[:, 1] + torch.arange(height, device=flow.device)[:, None]
        grid = torch.stack((x * (2 / (width - 1)) - 1, y * (2 / (height - 1)) - 1), dim=-1)
        planes = torch.cat((second, along_x, along_y), dim=1)
        warped = F.grid_sample(planes, grid, mode="bicubic", padding_mode="border", align_corners=True)
        gradient = warped[:, 1:]
        return gradient, warped[:, :1] - first - (gradient * flow).sum(1, keepdim=True)


class Iteration(nn.Module):
    """One step of the inner loop: threshold the data term, then one projected step on the dual variables.

    Flow u, its dual variables p_x and p_y, and the gradient are (N, 2, H, W); residual and 1/|gradient|² (N, 1, H, W).
    """

    def __init__(self, tau: float, weight: float, theta: float) -> None:
        super().__init__()
        self.step, self.threshold, self.theta = tau / theta, weight * theta, theta

    def forward(
        self, u: Tensor, p_x: Tensor, p_y: Tensor, gradient: Tensor, residual: Tensor, inverse: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The next u, p_x, p_y."""
        rho = residual + (gradient * u).sum(1, keepdim=True)
        v = u - (rho * inverse).clamp(-self.threshold, self.threshold) * gradient  # the three cases of the paper in one
        divergence = p_x - F.pad(p_x, (1, -1)) + p_y - F.pad(p_y, (0, 0, 1, -1))  # backward differences
        u = v + self.theta * divergence
        u_x, u_y = u.diff(dim=-1, append=u[..., -1:]), u.diff(dim=-2, append=u[..., -1:, :])
        shrink = 1 + self.step * torch.hypot(u_x, u_y)
        return u, (p_x + self.step * u_x) / shrink, (p_y + self.step * u_y) / shrink


class TVL1(nn.Module):
    """Clip (B, 3, T, H, W) with values in 0..1 -> flow (B, 2, T−1, H, W) from each frame to the next: (x, y) in pixels.

    Arguments:
        clip: the clip whose H and W the pyramid fits.
        scales: levels of the pyramid, as many as stay at 16×16 or above.
        scale_step: size of a level relative to the finer one.
        warps: how often the second image is warped and linearised at each level.
        iterations: of the inner loop for each warp.
        tau: time step.
        weight: of the data term, λ; smaller is smoother.
        theta: tightness of the coupling between data term and smoothness.
    """

    def __init__(
        self,
        clip: Clip,
        *,
        scales: int = SCALES,
        scale_step: float = SCALE_STEP,
        warps: int = WARPS,
        iterations: int = ITERATIONS,
        tau: float = TAU,
        weight: float = LAMBDA,
        theta: float = THETA,
    ) -> None:
        super().__init__()
        self.scale_step, self.warps, self.iterations = scale_step, warps, iterations
        sizes = [(round(clip.height * scale_step**n), round(clip.width * scale_step**n)) for n in range(scales)]
        self.levels = [sizes[0], *(size for size in sizes[1:] if min(size) >= SMALLEST_LEVEL)]  # (H, W), finest first
        self.gray = Gray()
        self.warp = Warp()
        self.iteration = Iteration(tau, weight, theta)

    def forward(self, clip: Tensor) -> Tensor:
        """Flow (B, 2, T−1, H, W)."""
        gray = self.gray(clip)
        first, second = gray[:, :-1].flatten(0, 1)[:, None], gray[:, 1:].flatten(0, 1)[:, None]  # (B·(T−1), 1, H, W)
        coarsest, finest = self.levels[-1], self.levels[0]
        flow = first.new_zeros((first.shape[0], 2, *coarsest))
        for size in reversed(self.levels):
            if size != coarsest:  # a pixel of the coarser level is 1/scale_step pixels of this one
                flow = _resize(flow, size) * (1 / self.scale_step)
            here, there = (first, second) if size == finest else (_resize(first, size), _resize(second, size))
            flow = self._solve(here, there, flow)
        fields: Tensor = flow.unflatten(0, (gray.shape[0], gray.shape[1] - 1))
        return fields.transpose(1, 2)

    def _solve(self, first: Tensor, second: Tensor, flow: Tensor) -> Tensor:
        """Improve the flow (N, 2, H, W) at one level."""
        p_x, p_y = torch.zeros_like(flow), torch.zeros_like(flow)
        for _ in range(self.warps):
            gradient, residual = self.warp(first, second, flow)
            inverse = 1 / (gradient * gradient).sum(1, keepdim=True).clamp_min(1e-10)
            for _ in range(self.iterations):
                flow, p_x, p_y = self.iteration(flow, p_x, p_y, gradient, residual, inverse)
        return flow


def _resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(images, size, mode="bilinear", align_corners=False)


def optical_flow_tvl1(
    clip: Clip,
    num_classes: int,
    *,
    scales: int = SCALES,
    scale_step: float = SCALE_STEP,
    warps: int = WARPS,
    iterations: int = ITERATIONS,
    tau: float = TAU,
    weight: float = LAMBDA,
    theta: float = THETA,
) -> SizedNetwork:
    """Flow between the frames of a clip; there are no classes."""
    if clip.frames < 2 or min(clip.height, clip.width) < 2:
        raise InputError(f"optical flow needs two frames of 2×2 pixels, the clip is {clip}", [("fix", "give more")])
    if min(scales, warps, iterations) < 1 or not 0 < scale_step < 1:
        schedule = f"scales={scales}, warps={warps}, iterations={iterations}, scale_step={scale_step}"
        raise InputError(f"not a schedule: {schedule}", [("fix", "counts of at least 1, a scale step between 0 and 1")])
    return SizedNetwork(
        TVL1(
            clip,
            scales=scales,
            scale_step=scale_step,
            warps=warps,
            iterations=iterations,
            tau=tau,
            weight=weight,
            theta=theta,
        )
    )
