"""CNNs over frames: the costs of the papers and the reference code, as exact integers with their arithmetic."""

import pytest
import torch

from flopcount import InputError, UnknownNameError, count_model, create_model
from flopcount.core.protocol import Clip
from flopcount.models.networks.recurrent_cnn import ConvGRU, ConvLSTM, ConvRNN


def count(name, clip=None, **options):
    classes = options.pop("num_classes", None)
    parsed = Clip.parse(clip) if clip else None
    return count_model(name, clip=parsed, num_classes=classes, options=options, strict=True)


# Image references: torchvision 0.28 has the same counts, parameter by parameter and layer by layer


@pytest.mark.parametrize(
    ("name", "macs", "params"),
    [
        ("alexnet", 714_188_480, 61_100_840),  # the lecture: 0.7
        ("vgg16", 15_470_264_320, 138_357_544),  # the lecture's 13.6 lacks one convolution, 3·3·256·56·56·256 = 1.85 G
        ("resnet50", 4_089_184_256, 25_557_032),  # torchvision's documentation: 4.09
    ],
)
def test_image_networks_are_torchvisions(name, macs, params):
    report = count(name)
    assert (report.macs, report.params) == (macs, params)


def test_alexnet_in_two_towers_is_that_of_2012():
    report = count("alexnet", "1x227x227", two_towers=True)
    convolutions = [
        96 * 55**2 * 3 * 11**2,
        256 * 27**2 * (96 // 2) * 5**2,
        384 * 13**2 * 256 * 3**2,
        384 * 13**2 * (384 // 2) * 3**2,
        256 * 13**2 * (384 // 2) * 3**2,
    ]
    linears = [256 * 6 * 6 * 4096, 4096 * 4096, 4096 * 1000]
    assert report.macs == sum(convolutions) + sum(linears) == 724_406_816
    assert report.params == 60_965_224  # the paper: 60 million
    assert report.departures == ()


def test_alexnet_in_two_towers_says_what_224_does_to_it():
    assert count("alexnet", two_towers=True).departures == ("fc6 sized for 1×224×224: 6400 inputs, released with 9216",)


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "resnet50"])
def test_image_networks_take_one_frame(name):
    message = "takes one image, clip 8×224×224 has 8 frames\n  fix     give --clip 1x224x224"
    with pytest.raises(InputError, match=message):
        create_model(name, clip="8x224x224")


def test_images_too_small_name_the_layer():
    with pytest.raises(InputError, match=r"in      features\.30 \(MaxPool2d of 2×2\)\n  seen    1×1 height × width"):
        create_model("vgg16", clip="1x31x31")
    with pytest.raises(InputError, match=r"in      features\.12 \(MaxPool2d of 3×3\)"):
        create_model("alexnet", clip="1x62x62")


# Karpathy et al. 2014

PER_FRAME = (  # positions · filters · inputs
    54**2 * 96 * 3 * 11**2
    + 27**2 * 256 * 96 * 5**2
    + 14**2 * 384 * 256 * 3**2
    + 14**2 * 384 * 384 * 3**2
    + 14**2 * 256 * 384 * 3**2
)
FEATURES = 256 * 7 * 7  # what the paper says the convolutional part ends in
HEAD = 4096 * 4096 + 4096 * 487


def test_single_frame():
    report = count("single_frame")
    assert report.macs == 10 * (PER_FRAME + FEATURES * 4096 + HEAD) == 12_265_954_560
    assert report.module("features.pool5").output_shapes == ((10, 256, 7, 7),)


def test_late_fusion_merges_in_the_first_fully_connected_layer():
    assert count("late_fusion_fc").macs == 10 * PER_FRAME + 10 * FEATURES * 4096 + HEAD
    report = count("late_fusion_fc", "16x170x170", two_frames=True)
    assert report.macs == 2 * PER_FRAME + 2 * FEATURES * 4096 + HEAD
    assert report.departures == ()


def test_late_fusion_of_two_frames_sees_the_first_and_the_last():
    torch.manual_seed(0)
    model = create_model("late_fusion_fc", clip="5x30x30", num_classes=3, two_frames=True).eval()
    clip = torch.randn(1, 3, 5, 30, 30)
    inner = clip.clone()
    inner[:, :, 1:-1] = 0
    ends = clip.clone()
    ends[:, :, -1] = 0
    with torch.no_grad():
        assert torch.equal(model(clip), model(inner))
        assert not torch.equal(model(clip), model(ends))
    assert model.recipe.departures == (
        "fc6 sized for 5×30×30: 512 inputs, the paper's has 25088",
        "two frames 4 apart, the paper's are 15 apart",
        "3 classes, the paper's network has 487",
    )


def test_late_fusion_of_two_frames_needs_two():
    with pytest.raises(InputError, match="late fusion of two frames, but clip 1×170×170 has one"):
        create_model("late_fusion_fc", clip="1x170x170", two_frames=True)


def test_late_fusion_by_pooling():
    report = count("late_fusion_pool")
    assert report.macs == 10 * PER_FRAME + 256 * 487
    assert report.params == count("single_frame").module("features").params + 256 * 487 + 487


def test_early_fusion_sees_thirty_channels():
    report = count("early_fusion")
    assert report.macs == PER_FRAME + 54**2 * 96 * 27 * 11**2 + FEATURES * 4096 + HEAD
    assert count("early_fusion", "4x170x170").departures == (
        "conv1 sized for 4×170×170: 12 input channels, the paper's has 30",
    )


def test_slow_fusion_merges_ten_frames_in_three_layers():
    report = count("slow_fusion")
    convolutions = [
        4 * 54**2 * 96 * 3 * 4 * 11**2,  # 10 frames, extent 4, stride 2: 4 responses in time
        2 * 27**2 * 256 * 96 * 2 * 5**2,
        1 * 14**2 * 384 * 256 * 2 * 3**2,
        1 * 14**2 * 384 * 384 * 3**2,
        1 * 14**2 * 256 * 384 * 3**2,
    ]
    assert report.macs == sum(convolutions) + FEATURES * 4096 + HEAD
    assert [report.module(f"features.conv{n}").output_shapes[0][2] for n in (1, 2, 3)] == [4, 2, 1]
    with pytest.raises(InputError, match=r"in      conv3 \(Conv3d of 2×3×3\)\n  seen    1×14×14"):
        create_model("slow_fusion", clip="9x170x170")


def test_a_frame_through_single_frame_is_the_frame_alone():
    torch.manual_seed(0)
    model = create_model("single_frame", clip="4x23x23", num_classes=3).eval()
    frame = torch.randn(1, 3, 1, 23, 23)
    with torch.no_grad():
        torch.testing.assert_close(model(frame.expand(1, 3, 4, 23, 23)), model(frame))


# TV-L1 optical flow


def texture(x, y):
    """Smooth waves of 7 to 40 pixels, known at every point: (H, W) positions -> values in about 0..1."""
    draw = torch.Generator().manual_seed(0)
    length, angle, phase = (torch.rand(40, 1, 1, generator=draw) for _ in range(3))
    wave, angle = 2 * torch.pi / (7 * (40 / 7) ** length), 2 * torch.pi * angle
    waves = torch.sin(wave * (angle.cos() * x + angle.sin() * y) + 2 * torch.pi * phase)
    return 0.5 + 0.2 * waves.sum(0) / 40**0.5


ROWS, COLUMNS, MARGIN = 64, 80, 8
Y, X = torch.meshgrid(torch.arange(float(ROWS)), torch.arange(float(COLUMNS)), indexing="ij")


def error(first, second, motion, **options):
    """Mean endpoint error in pixels away from the border, where part of the image has left."""
    model = create_model("optical_flow_tvl1", clip=(2, ROWS, COLUMNS), **options)
    flow = model(torch.stack((first, second)).expand(1, 3, 2, ROWS, COLUMNS))
    assert flow.shape == (1, 2, 1, ROWS, COLUMNS)
    inside = (slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    return (flow[0, :, 0] - motion).norm(dim=0)[inside].mean().item()


@pytest.mark.parametrize("shift", [(0.5, -0.3), (0.0, 0.0), (1.25, 2.0), (-3.0, 4.0), (5.0, 0.0), (0.0, -5.0)])
def test_flow_of_a_shifted_texture(shift):
    dx, dy = shift
    motion = torch.tensor(shift)[:, None, None].expand(2, ROWS, COLUMNS)
    assert error(texture(X, Y), texture(X - dx, Y - dy), motion) < 0.1


def test_flow_of_a_texture_that_turns_by_two_degrees():
    x, y = X - COLUMNS / 2, Y - ROWS / 2
    cos, sin = torch.tensor(torch.pi / 90).cos(), torch.tensor(torch.pi / 90).sin()
    turned = texture(cos * x + sin * y + COLUMNS / 2, -sin * x + cos * y + ROWS / 2)
    motion = torch.stack((cos * x - sin * y - x, sin * x + cos * y - y))
    assert motion.norm(dim=0).max() > 1.7
    assert error(texture(X, Y), turned, motion) < 0.1


def test_flow_needs_the_pyramid_for_large_shifts():
    motion = torch.tensor((5.0, 0.0))[:, None, None].expand(2, ROWS, COLUMNS)
    assert error(texture(X, Y), texture(X - 5, Y), motion, scales=1, warps=1) > 1


def test_flow_between_each_frame_and_the_next():
    model = create_model("optical_flow_tvl1", clip="3x24x24", warps=1, iterations=2)
    clip = torch.rand(2, 3, 3, 24, 24)
    both = model(clip)
    assert both.shape == (2, 2, 2, 24, 24)
    torch.testing.assert_close(both[1:, :, 1:], model(clip[1:, :, 1:]))


@pytest.mark.slow
def test_flow_costs_what_its_schedule_says():
    def iterations(**options):
        return count("optical_flow_tvl1", "2x50x40", **options).module("iteration").cost.other_flops

    levels = [50 * 40, 40 * 32, 32 * 26, 26 * 20, 20 * 16]  # five times 0.8, all at 16 or above
    residual = 2 + 1 + 1  # gradient · u, added up, plus the constant part
    threshold = 1 + 2 + 2 + 2  # times 1/|gradient|², clamp, times the gradient, off u
    smooth = 3 * 2 + 2 * 2  # divergence, times θ, to v
    dual = 2 * 2 + 2 * 4 + 2 * 2 + 2 * 3 * 2  # ∇u, |∇u| (hypot is 4), 1 + τ/θ·|∇u|, and for p_x and p_y each 3
    per_position = residual + threshold + smooth + dual
    assert iterations(iterations=1, warps=1) == per_position * sum(levels)
    assert iterations() == 5 * 30 * iterations(iterations=1, warps=1)
    assert count("optical_flow_tvl1", "2x50x40").macs == 0


@pytest.mark.parametrize("wrong", [{"scales": 0}, {"iterations": 0}, {"scale_step": 1.0}])
def test_flow_refuses_a_schedule_that_is_none(wrong):
    with pytest.raises(InputError, match="not a schedule"):
        create_model("optical_flow_tvl1", **wrong)


def test_flow_needs_two_frames():
    with pytest.raises(InputError, match="optical flow needs two frames of 2×2 pixels, the clip is 1×224×224"):
        create_model("optical_flow_tvl1", clip="1x224x224")


# Two streams

STREAM = (  # after conv1, whose input differs
    26**2 * 256 * 96 * 5**2
    + 13**2 * 512 * 256 * 3**2
    + 2 * 13**2 * 512 * 512 * 3**2
    + 512 * 6 * 6 * 4096
    + 4096 * 2048
    + 2048 * 101
)


def test_each_stream_is_built_and_counted_alone():
    spatial, temporal = count("two_stream", stream="spatial"), count("two_stream", stream="temporal")
    assert spatial.macs == 109**2 * 96 * 3 * 7**2 + STREAM
    assert temporal.macs == 109**2 * 96 * 20 * 7**2 + STREAM
    assert temporal.params - spatial.params == 96 * 17 * 7**2
    both = count("two_stream")
    assert both.macs == spatial.macs + temporal.macs
    assert both.params == spatial.params + temporal.params
    assert both.input.shapes == ((1, 3, 224, 224), (1, 20, 224, 224))


def test_two_stream_with_its_flow_costs_the_flow_more():
    given, computed = count("two_stream"), count("two_stream", flow="tvl1")
    assert computed.macs == given.macs
    flow = computed.module("flow").cost.other_flops
    assert flow == count("optical_flow_tvl1").other_flops
    stack = 20 * 224**2
    assert computed.other_flops == given.other_flops + flow + 2 * stack  # its mean vectors, taken off


def test_two_stream_averages_the_softmax_of_its_streams():
    torch.manual_seed(0)
    model = create_model("two_stream", clip="3x47x47", num_classes=4).eval()
    frame, stack = torch.randn(2, 3, 47, 47), torch.randn(2, 4, 47, 47)
    with torch.no_grad():
        average = (model.spatial(frame).softmax(1) + model.temporal(stack).softmax(1)) / 2
        torch.testing.assert_close(model(frame, stack), average)


def test_two_stream_takes_a_clip_where_it_computes_the_flow():
    torch.manual_seed(0)
    model = create_model("two_stream", clip="3x47x47", num_classes=4, flow="tvl1").eval()
    clip = torch.rand(1, 3, 3, 47, 47)
    with torch.no_grad():
        flow = model.flow(clip)
        flow = flow - flow.mean((3, 4), keepdim=True)
        stack = torch.cat((flow[:, :, 0], flow[:, :, 1]), dim=1)  # x and y of each field in turn
        average = (model.spatial(clip[:, :, 0]).softmax(1) + model.temporal(stack).softmax(1)) / 2
        torch.testing.assert_close(model(clip), average)


def test_two_stream_says_what_differs():
    assert create_model("two_stream", clip="6x112x112", num_classes=101).recipe.departures == (
        "5 fields of flow for 6×112×112, the paper stacks 10",
        "fc6 sized for 6×112×112: 4608 inputs, the paper's has 18432",
    )


def test_two_stream_refuses_what_it_does_not_know():
    with pytest.raises(UnknownNameError, match="no stream of two_stream named 'spatail'\n  near    spatial"):
        create_model("two_stream", stream="spatail")
    with pytest.raises(InputError, match="the spatial stream takes no flow"):
        create_model("two_stream", stream="spatial", flow="tvl1")
    with pytest.raises(InputError, match="flow needs two frames, the clip is 1×224×224"):
        create_model("two_stream", clip="1x224x224")


# CNN and LSTM


def test_lrcn_is_the_released_network():
    report = count("cnn_lstm")
    per_frame = [
        111**2 * 96 * 3 * 7**2,
        26**2 * 384 * (96 // 2) * 5**2,
        13**2 * 512 * 384 * 3**2,
        13**2 * 512 * (512 // 2) * 3**2,
        13**2 * 384 * (512 // 2) * 3**2,
        384 * 6 * 6 * 4096,
        4 * 256 * (4096 + 256),
        256 * 101,
    ]
    assert report.macs == 16 * sum(per_frame) == 19_110_429_184
    assert report.module("lstm").params == 4 * 256 * (4096 + 256 + 2)


def test_lrcn_on_resnet50():
    report = count("cnn_lstm", "16x224x224", backbone="resnet50")
    convolutions = 4_089_184_256 - 2048 * 1000
    assert report.macs == 16 * (convolutions + 4 * 256 * (2048 + 256) + 256 * 101)
    assert report.departures == ("ResNet-50 per frame, the paper's CNN is a CaffeNet",)


@pytest.mark.parametrize("backbone", ["caffenet", "resnet50"])
def test_a_frozen_cnn_costs_the_same_and_does_not_train(backbone):
    trained, frozen = (count("cnn_lstm", backbone=backbone, freeze_cnn=freeze) for freeze in (False, True))
    assert (frozen.macs, frozen.params) == (trained.macs, trained.params)
    assert frozen.trainable_params == frozen.module("lstm").params + frozen.module("fc").params
    assert "CNN frozen, the paper trains it with the LSTM" in frozen.departures


def test_lrcn_says_what_differs():
    assert create_model("cnn_lstm", clip="8x99x99", num_classes=101).recipe.departures == (
        "fc6 sized for 8×99×99: 1536 inputs, released with 13824",
        "8 frames, the paper's clips have 16",
    )
    with pytest.raises(UnknownNameError, match="no backbone of cnn_lstm named 'resnet5'\n  near    resnet50"):
        create_model("cnn_lstm", backbone="resnet5")


def test_lrcn_averages_probabilities_over_the_frames():
    torch.manual_seed(0)
    model = create_model("cnn_lstm", clip="3x49x49", num_classes=4).eval()
    clip = torch.randn(2, 3, 3, 49, 49)
    with torch.no_grad():
        features = torch.stack([model.cnn(clip[:, :, t]) for t in range(3)], dim=1)
        expected = model.fc(model.lstm(features)[0]).softmax(-1).mean(1)
        torch.testing.assert_close(model(clip), expected)


# Segments


def batch_norm_elements(report):
    return sum(op.op.signature.outputs[0].numel for op in report.ops if op.name == "aten.batch_norm")


def test_tsn_is_mmaction2s():
    report = count("tsn_r50")
    convolutions = 4_089_184_256 - 2048 * 1000
    assert report.macs == 25 * convolutions + 2048 * 400
    assert report.params == 25_557_032 - 2049 * 1000 + 2049 * 400 == 24_327_632  # printed: 24.33 M
    # mmaction2 prints 102.7 G for 25 frames, with 2 for each normalised element
    assert round((report.macs + 2 * batch_norm_elements(report)) / 1e9, 1) == 102.7


def test_tsm_shifts_for_free():
    report = count("tsm_r50")
    assert report.macs == 8 * (4_089_184_256 - 2048 * 600)
    assert report.params == 24_327_632
    assert count("tsm_r50", num_classes=174).params == 23_864_558  # mmaction2 prints this one, as 23.87 M


def test_tsm_as_mmaction2_prints_it():
    eight, sixteen = count("tsm_r50"), count("tsm_r50", "16x224x224")
    assert round((eight.macs + 2 * batch_norm_elements(eight)) / 1e9, 2) == 32.88
    # 65.75 is printed for 16 segments: what one classifier call instead of one per segment would come to
    assert round((sixteen.macs + 2 * batch_norm_elements(sixteen)) / 1e9, 2) == 65.76
    assert round((sixteen.macs - 15 * 2048 * 400 + 2 * batch_norm_elements(sixteen)) / 1e9, 2) == 65.75


def test_tsm_takes_an_eighth_of_the_channels_from_each_neighbour():
    model = create_model("tsm_r50", clip="4x33x33", num_classes=3)
    shift = model.base_model.layer1[0].conv1
    shift.net = torch.nn.Identity()
    maps = torch.randn(2, 4, 64, 3, 3)
    shifted = shift(maps.flatten(0, 1)).unflatten(0, (2, 4))
    expected = torch.zeros_like(maps)
    expected[:, :-1, :8] = maps[:, 1:, :8]
    expected[:, 1:, 8:16] = maps[:, :-1, 8:16]
    expected[:, :, 16:] = maps[:, :, 16:]
    assert torch.equal(shifted, expected)


def test_tsm_moves_data_and_adds_no_arithmetic():
    tsm = count("tsm_r50")
    image = count("resnet50", num_classes=400)
    average = 8 * 400
    assert tsm.other_flops == 8 * image.other_flops + average
    assert tsm.bytes_written > 8 * image.bytes_written


# Recurrent convolutional network

LEVELS = (  # positions, channels, states, kernel positions; VGG-16 at pool2 to pool5 and fc7
    (56**2, 128, 64, 9),
    (28**2, 256, 128, 9),
    (14**2, 512, 256, 9),
    (7**2, 512, 256, 9),
    (1, 4096, 512, 1),
)
VGG16_TO_FC7 = 15_470_264_320 - 4096 * 1000
CLASSIFIERS = (64 + 128 + 256 + 256 + 512) * 101


@pytest.mark.parametrize(("cell", "gates"), [("rnn", 1), ("gru", 3), ("lstm", 4)])
def test_recurrent_cnn_has_a_convolution_of_input_and_state_for_each_gate(cell, gates):
    report = count("recurrent_cnn", cell=cell)
    recurrent = sum(n * k * gates * (c * s + s * s) for n, c, s, k in LEVELS)
    assert report.macs == 10 * (VGG16_TO_FC7 + recurrent) + CLASSIFIERS
    weights = sum(k * gates * (c * s + s * s) for _, c, s, k in LEVELS)
    assert report.params == 138_357_544 - 4097 * 1000 + weights + CLASSIFIERS + 5 * 101


def test_stacked_layers_see_the_layer_below_in_two_of_three_gates():
    below = sum(n * k * 2 * s * lower[2] for (n, _, s, k), lower in zip(LEVELS[1:], LEVELS, strict=False))
    assert count("recurrent_cnn", stacked=True).macs == count("recurrent_cnn").macs + 10 * below


def test_conv_gru_by_hand():
    torch.manual_seed(0)
    cell = ConvGRU(3, 2, 1)
    x = torch.randn(1, 2, 3, 1, 1)
    w_z, w_r, w = cell.input.weight.flatten(1).split(2)
    u_z, u_r = cell.hidden.weight.flatten(1).split(2)
    u = cell.candidate.weight.flatten(1)
    h = torch.zeros(2)
    for t in range(2):
        now = x[0, t, :, 0, 0]
        z, r = torch.sigmoid(w_z @ now + u_z @ h), torch.sigmoid(w_r @ now + u_r @ h)
        h = (1 - z) * h + z * torch.tanh(w @ now + u @ (r * h))
        torch.testing.assert_close(cell(x, None)[0][0, t, :, 0, 0], h)


@pytest.mark.parametrize(("cell", "library"), [(ConvRNN, torch.nn.RNN), (ConvLSTM, torch.nn.LSTM)])
def test_conv_cells_of_one_position_are_torchs(cell, library):
    torch.manual_seed(0)
    ours, theirs = cell(3, 2, 1), library(3, 2, bias=False, batch_first=True)
    order = (0, 1, 3, 2) if cell is ConvLSTM else (0,)  # torch's gates are i, f, g, o
    with torch.no_grad():
        for weight, conv in ((theirs.weight_ih_l0, ours.input), (theirs.weight_hh_l0, ours.hidden)):
            gates = conv.weight.flatten(1).split(2)
            weight.copy_(torch.cat([gates[i] for i in order]))
    x = torch.randn(4, 5, 3)
    torch.testing.assert_close(ours(x[..., None, None], None)[0].flatten(2), theirs(x)[0])


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_recurrent_cnn_runs_stacked_with_other_cells(cell):
    model = create_model("recurrent_cnn", clip="2x32x32", num_classes=3, cell=cell, stacked=True)
    scores = model(torch.randn(1, 3, 2, 32, 32))
    torch.testing.assert_close(scores.sum(1), torch.ones(1))
    assert model.recipe.departures[:3] == (
        f"convolutional {cell.upper()} cells, the paper's are GRUs",
        "2 frames, the paper's clips have 10",
        "frames of 32×32, the paper's are resized to 224×224",
    )


def test_recurrent_cnn_offers_the_cells_it_has():
    with pytest.raises(UnknownNameError, match="no cell of recurrent_cnn named 'GRU'"):
        create_model("recurrent_cnn", cell="GRU")
