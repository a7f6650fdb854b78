"""What oneDNN's kernels for the gradient of a convolution's weights keep beside copies of their tensors, in bytes.

Each group of threads that shares out the images sums its own gradient of the weights, so that this memory grows with
the number of threads: it is that of torch in this process. The kernels are those of a CPU with AVX-512; one with AMX
has others for bfloat16. Barriers of a few kilobytes are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from ..core.ops import TensorSpec

__all__ = ["by_matrices", "onednn_threads", "weight_gradient_scratch"]

_LANES = 16  # channels in one block


def onednn_threads() -> int:
    """The number of threads of torch in this process, which its kernels share work out to."""
    import torch

    return torch.get_num_threads()


def by_matrices(input: TensorSpec, weight: TensorSpec, padding: tuple[int, ...]) -> bool:
    """Whether the gradient of the weights is made by matrix products: in float32, in clips no longer than the filter.

    oneDNN's direct kernel refuses a padded clip whose frames and padding in front do not exceed the filter.
    Measured with oneDNN 3.x: filters of 2 to 7 frames on clips of 1 to 8; the other axes make no difference.
    """
    front = padding[0]
    return input.dtype == "float32" and input.ndim == 5 and front > 0 and input.shape[2] + front <= weight.shape[2]


def weight_gradient_scratch(
    grad_output: TensorSpec, input: TensorSpec, weight: TensorSpec, stride: tuple[int, ...], padding: tuple[int, ...],
    groups: int,
) -> int:  # fmt: skip
    """Bytes of scratch for the gradient of the weights, for kernels of oneDNN."""
    axes = input.ndim - 2
    stride, padding = (value * axes if len(value) == 1 else value for value in (stride, padding))
    if by_matrices(input, weight, padding):
        # oneDNN, src/cpu/gemm_convolution_utils.cpp: each thread has the columns of one frame, and room for a gradient
        # of the weights whose size in bytes is taken for a number of float32.
        columns = prod(weight.shape[1:]) * prod(grad_output.shape[3:]) * 4
        return onednn_threads() * (4 * weight.nbytes + columns)
    if input.dtype != "bfloat16" or groups == input.shape[1] > 1:
        return 0
    return _Bfloat16.of(grad_output, input, weight, stride, padding, groups).nbytes


@dataclass(frozen=True, slots=True)
class _Bfloat16:
    """Sums in float32 and transposed images, of each group of threads that has images of its own.

    Source: oneDNN, src/cpu/x64/jit_avx512_core_bf16_conv_kernel.cpp, init_conf, init_scratchpad and balance of
    jit_avx512_core_bf16_conv_bwd_weights_kernel_f32.
    """

    blocks: tuple[int, int]  # of output and input channels, in a group
    units: int  # of work that can be shared out: frames of a clip, rows of an image
    source: int  # elements of transposed input of one image, and of the output's gradient
    result: int
    transposed: tuple[bool, bool]  # whether those two are transposed at all
    jump: int  # of the filter, over all axes
    batch: int
    weights: int  # elements of weights, with channels padded to blocks
    groups: int

    @classmethod
    def of(
        cls, grad_output: TensorSpec, input: TensorSpec, weight: TensorSpec, stride: tuple[int, ...],
        padding: tuple[int, ...], groups: int,
    ) -> _Bfloat16:  # fmt: skip
        """The sizes of one call."""
        (batch, channels, *sizes), (outputs, fan, *filter), results = input.shape, weight.shape, grad_output.shape[2:]
        first = channels < _LANES and groups == 1
        out_blocks, in_blocks = -(-(outputs // groups) // _LANES), 1 if first else -(-fan // _LANES)
        wide = out_blocks * _LANES, fan if first else in_blocks * _LANES
        end = max((results[-1] - 1) * stride[-1] + filter[-1] - sizes[-1] - padding[-1], 0)
        row = _even(-(-sizes[-1] // stride[-1]) + _even(max(padding[-1], end + 1))) * stride[-1]
        pointwise = input.ndim < 5 and prod(filter) == 1  # a kernel of its own
        in_registers = not first and (pointwise or (input.ndim == 5 and filter[-1] == stride[-1] == 1))
        whole = (
            input.ndim == 4 and channels >= 128 and 1 not in filter and {*stride} == {1}
            and all(pad == size // 2 for pad, size in zip(padding, filter, strict=True))
        )  # fmt: skip
        return cls(
            blocks=(out_blocks, in_blocks),
            units=batch if whole or input.ndim == 3 else batch * results[0],
            source=wide[1] * groups * prod(sizes[:-1]) * row,
            result=wide[0] * groups * prod(results[:-1]) * _even(results[-1]),
            transposed=(not first and not in_registers, not in_registers),
            jump=prod(stride),
            batch=batch,
            weights=groups * wide[0] * wide[1] * prod(filter),
            groups=groups,
        )

    @property
    def nbytes(self) -> int:
        """Bytes of all groups of threads."""
        source, result = self.source * self.transposed[0], self.result * self.transposed[1]
        return self._sharing() * (2 * (source + result) + 4 * self.weights)

    def _sharing(self) -> int:
        """How many groups of threads share out the images: the cheapest way to split images and channels."""
        if onednn_threads() < self.groups:
            return 1
        threads = onednn_threads() // self.groups
        outputs, inputs = self.blocks
        ways = [
            (images, out, min(threads // images // out, inputs))
            for images in range(1, min(threads, self.units) + 1)
            for out in range(1, min(threads // images, outputs) + 1)
        ]
        images = min(reversed([(1, 1, 1), *ways]), key=lambda way: self._cost(*way))[0]
        return min(self.units, threads) if threads // 2 < images < threads else images

    def _cost(self, images: int, out: int, into: int) -> float:
        """What one thread reads and writes, as oneDNN weighs it."""
        source, result, weights = (n / self.groups for n in (self.source, self.result, self.weights))
        heavy = 0.5 * 2 * self.batch * (source + result) / (4 * weights)
        ratio = self.blocks[0] / self.blocks[1]
        share, out_share, in_share = (
            -(-n // by) / n for n, by in zip((self.units, *self.blocks), (images, out, into), strict=True)
        )
        return (
            max(1 / ratio, 1) * (4 if heavy < 1 else 1) * share * in_share * self.batch * source / self.jump
            + max(heavy, 1) * out_share * in_share * weights
            + max(ratio, 1) * share * out_share * self.batch * result
        )


def _even(size: int) -> int:
    return size + size % 2
