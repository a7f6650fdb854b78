"""Operators of a backward pass: what autograd calls each in a training step, and the hand count of its other FLOPs.

The cost of an element is written here a second time, from the chain rule, and not read from the package.
"""

import torch
from torch.nn import functional as F

indices = torch.tensor([0, 2, 2])

N = 2 * 4 * 6
ROWS = [
    # activations: derivative and multiply, per element
    ("threshold_backward", F.relu, [(2, 4, 6)], N),
    ("hardtanh_backward", F.relu6, [(2, 4, 6)], 2 * N),
    ("leaky_relu_backward", F.leaky_relu, [(2, 4, 6)], 2 * N),
    ("hardshrink_backward", F.hardshrink, [(2, 4, 6)], 2 * N),
    ("softshrink_backward", F.softshrink, [(2, 4, 6)], 2 * N),
    ("elu_backward", F.elu, [(2, 4, 6)], 4 * N),
    ("sigmoid_backward", torch.sigmoid, [(2, 4, 6)], 3 * N),  # y·(1 − y)·g
    ("tanh_backward", torch.tanh, [(2, 4, 6)], 3 * N),  # (1 − y²)·g
    ("log_sigmoid_backward", F.logsigmoid, [(2, 4, 6)], 4 * N),
    ("softplus_backward", F.softplus, [(2, 4, 6)], 5 * N),
    ("hardsigmoid_backward", F.hardsigmoid, [(2, 4, 6)], 3 * N),
    ("hardswish_backward", F.hardswish, [(2, 4, 6)], 5 * N),
    ("silu_backward", F.silu, [(2, 4, 6)], 9 * N),
    ("rrelu_with_noise_backward", lambda x: F.rrelu(x, training=True), [(2, 4, 6)], N),
    ("_prelu_kernel_backward", F.prelu, [(2, 4, 6), (4,)], 3 * N),
    ("logit_backward", torch.logit, [(2, 4, 6)], 3 * N),
    ("gelu_backward", F.gelu, [(2, 4, 6)], 11 * N),
    ("gelu_backward", lambda x: F.gelu(x, approximate="tanh"), [(2, 4, 6)], 18 * N),
    ("glu_backward", F.glu, [(2, 4, 6)], 9 * N // 2),  # per element of the gradient, which has half as many
    ("_softmax_backward_data", lambda x: x.softmax(-1), [(2, 4, 6)], 4 * N),
    ("_log_softmax_backward_data", lambda x: x.log_softmax(-1), [(2, 4, 6)], 4 * N),
    # norms: input, weight and bias together
    ("native_batch_norm_backward", lambda x, w, b: F.batch_norm(x, None, None, w, b, True), [(2, 4, 6), (4,), (4,)],
     N * (2 + 3 + 4)),
    ("native_batch_norm_backward", lambda x: F.batch_norm(x, None, None, training=True), [(2, 4, 6)], 9 * N),
    ("native_batch_norm_backward",
     lambda x, w, b: F.batch_norm(x, torch.zeros(4), torch.ones(4), w, b, False), [(2, 4, 6), (4,), (4,)],
     N * (1 + 4 + 1)),
    ("native_layer_norm_backward", lambda x, w, b: F.layer_norm(x, (6,), w, b), [(2, 4, 6), (6,), (6,)],
     N * (2 + 3 + 4 + 1 + 2 + 1)),
    ("native_layer_norm_backward", lambda x: F.layer_norm(x, (6,)), [(2, 4, 6)], 9 * N),
    ("native_layer_norm_backward", lambda x, w, b: F.group_norm(x, 2, w, b), [(2, 4, 6), (4,), (4,)], 13 * N),
    ("_weight_norm_interface_backward", lambda v, g: torch._weight_norm(v, g, 0), [(4, 6), (4, 1)], 5 * 24),
    # pools: one add per element of the gradient, or as forward
    ("max_pool2d_with_indices_backward", lambda x: F.max_pool2d(x, 2), [(2, 4, 6)], N // 4),
    ("max_pool3d_with_indices_backward", lambda x: F.max_pool3d(x, 2), [(1, 2, 4, 6)], N // 8),
    ("max_pool2d_with_indices_backward", lambda x: F.adaptive_max_pool2d(x, 2), [(2, 4, 6)], 2 * 4),
    ("max_pool2d_with_indices_backward",
     lambda x: F.fractional_max_pool2d(x, 2, output_size=2), [(2, 4, 6)], 2 * 4),
    ("avg_pool2d_backward", lambda x: F.avg_pool2d(x, 2), [(2, 4, 6)], N),
    ("avg_pool3d_backward", lambda x: F.avg_pool3d(x, 2), [(1, 2, 4, 6)], N),
    ("_adaptive_avg_pool2d_backward", lambda x: F.adaptive_avg_pool2d(x, 2), [(2, 4, 6)], N),
    ("_adaptive_avg_pool3d_backward", lambda x: F.adaptive_avg_pool3d(x, 2), [(1, 2, 4, 6)], N),
    # resizing: a multiply and an add per tap
    ("upsample_nearest1d_backward", lambda x: F.interpolate(x, scale_factor=2), [(2, 4, 6)], 2 * N),
    ("upsample_nearest2d_backward", lambda x: F.interpolate(x, scale_factor=2), [(1, 2, 4, 6)], 4 * N),
    ("upsample_nearest3d_backward", lambda x: F.interpolate(x, scale_factor=2), [(1, 1, 2, 4, 6)], 8 * N),
    *((f"_upsample_nearest_exact{n}d_backward",
       lambda x: F.interpolate(x, scale_factor=2, mode="nearest-exact"), [shape], 2**n * N)
      for n, shape in ((1, (2, 4, 6)), (2, (1, 2, 4, 6)), (3, (1, 1, 2, 4, 6)))),
    ("upsample_linear1d_backward", lambda x: F.interpolate(x, scale_factor=2, mode="linear"), [(2, 4, 6)], 2 * N * 4),
    ("upsample_bilinear2d_backward", lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), [(1, 2, 4, 6)],
     4 * N * 8),
    ("upsample_trilinear3d_backward", lambda x: F.interpolate(x, scale_factor=2, mode="trilinear"),
     [(1, 1, 2, 4, 6)], 8 * N * 16),
    ("upsample_bicubic2d_backward", lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"), [(1, 2, 4, 6)],
     4 * N * 32),
    # halved: 4 taps across, to 4·3 columns, then 4 taps down
    ("_upsample_bilinear2d_aa_backward",
     lambda x: F.interpolate(x, size=(2, 3), mode="bilinear", antialias=True), [(1, 2, 4, 6)],
     2 * 4 * 3 * 7 + 2 * 2 * 3 * 7),
    ("_upsample_bicubic2d_aa_backward",
     lambda x: F.interpolate(x, size=(2, 3), mode="bicubic", antialias=True), [(1, 2, 4, 6)],
     2 * 4 * 3 * 15 + 2 * 2 * 3 * 15),
    # 5·5 positions of 2 coordinates; 2 images, 4 taps: 2 by image, 3 per axis by grid
    ("grid_sampler_2d_backward", lambda x, grid: F.grid_sample(x, grid, align_corners=False),
     [(1, 2, 4, 6), (1, 5, 5, 2)], 25 * 6 + 2 * 25 * 4 * (2 + 6)),
    ("grid_sampler_2d_backward", lambda x, grid: F.grid_sample(x, grid, mode="nearest", align_corners=False),
     [(1, 2, 4, 6), (1, 5, 5, 2)], 25 * 6 + 2 * 25),
    # losses
    ("mse_loss_backward", lambda x, y: F.mse_loss(x, y.detach()), [(4, 6), (4, 6)], 3 * 24),
    ("smooth_l1_loss_backward", lambda x, y: F.smooth_l1_loss(x, y.detach()), [(4, 6), (4, 6)], 4 * 24),
    ("huber_loss_backward", lambda x, y: F.huber_loss(x, y.detach()), [(4, 6), (4, 6)], 4 * 24),
    ("binary_cross_entropy_backward", lambda x, y: F.binary_cross_entropy(x, y.detach()), [(4, 6), (4, 6)], 5 * 24),
    ("nll_loss_backward", lambda x: F.nll_loss(x, torch.zeros(4, dtype=torch.int64)), [(4, 6)], 0),
    ("nll_loss2d_backward", lambda x: F.nll_loss(x, torch.zeros(1, 4, 6, dtype=torch.int64)), [(1, 2, 4, 6)], 0),
    # operators that move gradients
    ("slice_backward", lambda x: x[1:], [(4, 6)], 0),
    ("select_backward", lambda x: x[1], [(4, 6)], 0),
    ("diagonal_backward", lambda x: x.diagonal(), [(4, 6)], 0),
    ("unfold_backward", lambda x: x.unfold(1, 3, 1), [(4, 6)], 4 * 4 * 3),  # 4 windows of 3 in a row of 6
    ("reflection_pad1d_backward", lambda x: F.pad(x, (1, 2), mode="reflect"), [(2, 4, 6)], 8 * 3),
    ("reflection_pad1d_backward", lambda x: F.pad(x, (1, 2), mode="replicate"), [(2, 4, 6)], 8 * 3),
    ("embedding_dense_backward", lambda w: F.embedding(indices, w), [(4, 6)], 3 * 6),
    ("_embedding_bag_backward", lambda w: F.embedding_bag(indices[None], w), [(4, 6)], 3 * 6),
    ("_cdist_backward", lambda x, y: torch.cdist(x, y), [(3, 6), (5, 6)], 2 * 3 * 5 * 6 * 4),  # by either side
]  # fmt: skip

# Without a row: these have a test of their own in test_backward_rules.py.
BY_HAND = {
    *("aten.convolution_backward", "aten.conv_tbc_backward", "aten._trilinear", "aten.native_dropout_backward"),
    "aten._scaled_dot_product_flash_attention_backward",
    *("aten.mish_backward", "aten._fused_rms_norm_backward"),
    "flex_lib.zeros_and_scatter",  # in test_flex_attention.py
}
TESTED = {f"aten.{row[0]}" for row in ROWS} | BY_HAND
"""Canonical names; test_rules.py wants a row for every rule."""
