"""Laws 2 and 3: one answer on every engine and in every spelling, and no arithmetic on the way."""

import contextlib
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from modules import TORCH, Apply
from torch import nn

from flopcount import count_flops
from flopcount.core.errors import ForwardError, TraceError
from flopcount.core.ops import Kind, TensorSpec
from flopcount.models.torchvision_operators import ready_torchvision
from flopcount.rules.costing import cost
from flopcount.tracing import trace, weightless

ENGINES = ("meta", "fake", "real")


class Module(nn.Module):
    """A forward pass written as a function of the module and its inputs."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.function = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *args, **kwargs):
        return self.function(self, *args, **kwargs)


def spec(*shape, dtype="float32"):
    return TensorSpec(shape, dtype)


def macs(module, *args, engine="auto", **kwargs):
    return sum(costed.work.macs for costed in cost(trace(module, args, kwargs, engine=engine).ops))


def uncosted(module, *args, engine="auto"):
    return [costed.name for costed in cost(trace(module, args, engine=engine).ops) if costed.kind is Kind.UNCOSTED]


def weight(*shape):
    return nn.Parameter(torch.randn(*shape))


# Law 2: engines, modes, dtypes

NETWORKS = {
    "video": (
        lambda: nn.Sequential(
            nn.Conv3d(3, 8, 3, padding=1, bias=False),
            nn.BatchNorm3d(8),
            nn.ReLU(inplace=True),
            nn.MaxPool3d(2),
            nn.Conv3d(8, 8, (3, 1, 1), groups=8),
            nn.AdaptiveAvgPool3d(1),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(8, 5),
        ),
        (2, 3, 8, 8, 8),
        2 * (8 * 81 * 512 + 8 * 3 * 2 * 16 + 8 * 5),  # 8×8×8 outputs; depthwise over T from 4 to 2, 4×4; the head
    ),
    "encoder": (lambda: nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), (2, 8, 16), 2 * (8 * 2048 + 2 * 1024)),
    "attention": (
        lambda: Module(lambda m, x: m.a(x, x, x)[0], a=nn.MultiheadAttention(16, 4, batch_first=True)),
        (2, 8, 16),
        2 * (4 * 8 * 16 * 16 + 2 * 8 * 8 * 16),
    ),
    "lstm": (lambda: nn.LSTM(16, 8, 2, bidirectional=True), (5, 2, 16), 10 * 2 * 32 * (16 + 8 + 16 + 8)),
    "gru": (lambda: nn.GRU(16, 8), (5, 2, 16), 10 * 24 * (16 + 8)),
    "transposed": (lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), (2, 4, 5, 5), 2 * 4 * 25 * 3 * 9),
    "parameter views": (
        lambda: Module(lambda m, x: x @ m.w.unsqueeze(0)[:, :, 1:].transpose(1, 2).mT, w=weight(16, 5)),
        (2, 8, 16),
        2 * 8 * 16 * 4,
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_same_macs_on_every_engine_and_in_both_modes(name):
    build, shape, expected = NETWORKS[name]
    module = build()
    for training, engine in product((True, False), ENGINES):
        assert macs(module.train(training), spec(*shape), engine=engine) == expected, (training, engine)
    assert macs(weightless(build), spec(*shape)) == expected


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("context", [torch.no_grad, torch.enable_grad, torch.inference_mode])
def test_same_macs_in_every_gradient_mode(name, context):
    build, shape, expected = NETWORKS[name]
    with context():
        assert macs(build(), spec(*shape)) == expected


@pytest.mark.parametrize("name", NETWORKS)
def test_same_macs_in_bf16(name):
    build, shape, expected = NETWORKS[name]
    module = build().bfloat16()
    for engine in ("meta", "fake"):
        assert macs(module, spec(*shape, dtype="bfloat16"), engine=engine) == expected


def test_other_flops_agree_between_engines_too():
    module = NETWORKS["encoder"][0]()
    found = {sum(c.work.other_flops for c in cost(trace(module, (spec(2, 8, 16),), engine=e).ops)) for e in ENGINES}
    assert len(found) == 1
    assert found.pop() > 0


# Law 2: spellings

CONV = 2 * 4 * (3 * 27) * (3 * 4 * 4)  # batch · Cout · Cin·27 · outputs of a 3×3×3 kernel on 5×6×6
CONVOLUTIONS = {
    "module": lambda m, x: m.conv(x),
    "forward": lambda m, x: m.conv.forward(x),
    "functional": lambda m, x: F.conv3d(x, m.conv.weight, m.conv.bias),
    "torch": lambda m, x: torch.conv3d(x, m.conv.weight, m.conv.bias),
    "convolution": lambda m, x: torch.convolution(
        x, m.conv.weight, m.conv.bias, [1] * 3, [0] * 3, [1] * 3, False, [0] * 3, 1
    ),
    "channels last": lambda m, x: m.conv(x.to(memory_format=torch.channels_last_3d)),
    "checkpointed": lambda m, x: torch.utils.checkpoint.checkpoint(m.conv, x, use_reentrant=False),
    "functional call": lambda m, x: torch.func.functional_call(m.conv, dict(m.conv.named_parameters()), (x,)),
}


@pytest.mark.parametrize("spelling", CONVOLUTIONS)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_convolution_costs_the_same_in_every_spelling(spelling, engine):
    module = Module(CONVOLUTIONS[spelling], conv=nn.Conv3d(3, 4, 3))
    assert macs(module, spec(2, 3, 5, 6, 6), engine=engine) == CONV


class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x)
        return x @ weight.t()

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


LINEAR = 2 * 8 * 16 * 4
LINEARS = {
    "module": lambda m, x: m.linear(x),
    "functional": lambda m, x: F.linear(x, m.linear.weight),
    "@": lambda m, x: x @ m.linear.weight.t(),
    "einsum": lambda m, x: torch.einsum("bni,oi->bno", x, m.linear.weight),
    "addmm": lambda m, x: torch.addmm(m.linear.bias, x.flatten(0, 1), m.linear.weight.t()),
    "bmm": lambda m, x: torch.bmm(x, m.linear.weight.t().expand(2, 16, 4)),
    "tensordot": lambda m, x: torch.tensordot(x, m.linear.weight, ([2], [1])),
    "convolution": lambda m, x: F.conv1d(x.mT, m.linear.weight[..., None]),
    "vmap": lambda m, x: torch.vmap(m.linear)(x),
    "autograd function": lambda m, x: Product.apply(x, m.linear.weight),
    "matrix-vector": lambda m, x: torch.stack([x.flatten(0, 1) @ row for row in m.linear.weight]),
    "autocast": lambda m, x: _autocast(m.linear, x),
}


def _autocast(module, x):
    with torch.autocast("cpu", torch.bfloat16):
        return module(x)


@pytest.mark.parametrize("spelling", LINEARS)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_linear_layer_costs_the_same_in_every_spelling(spelling, engine):
    module = Module(LINEARS[spelling], linear=nn.Linear(16, 4))
    assert macs(module, spec(2, 8, 16), engine=engine) == LINEAR


ATTENTION = 2 * 4 * 2 * (8 * 8 * 6)  # batch · heads · (QKᵀ and PV)
ATTENTIONS = {
    "fused": lambda m, x: F.scaled_dot_product_attention(x, x, x),
    "causal": lambda m, x: F.scaled_dot_product_attention(x, x, x, is_causal=True),
    "masked": lambda m, x: F.scaled_dot_product_attention(x, x, x, attn_mask=torch.ones(8, 8, dtype=torch.bool)),
    "written out": lambda m, x: (x @ x.mT).softmax(-1) @ x,
    "einsum": lambda m, x: torch.einsum("bhnm,bhmd->bhnd", torch.einsum("bhnd,bhmd->bhnm", x, x).softmax(-1), x),
    "math kernel": lambda m, x: _math_attention(x),
}


def _math_attention(x):
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        return F.scaled_dot_product_attention(x, x, x)


@pytest.mark.parametrize("spelling", ATTENTIONS)
@pytest.mark.parametrize("engine", ENGINES)
def test_attention_costs_the_same_in_every_spelling(spelling, engine):
    assert macs(Module(ATTENTIONS[spelling]), spec(2, 4, 8, 6), engine=engine) == ATTENTION


def test_attention_module_equals_its_parts():
    def by_hand(m, x):
        q, k, v = (m.project(x).unflatten(-1, (3, 4, 4)).movedim(2, 0)).transpose(2, 3)
        return m.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))

    parts = Module(by_hand, project=nn.Linear(16, 48), out=nn.Linear(16, 16))
    assert macs(parts, spec(2, 8, 16)) == NETWORKS["attention"][2]


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore:.*treespec, LeafSpec:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*global hooks on modules:UserWarning")
@pytest.mark.parametrize("wrap", ["script", "trace", "compile", "export", "weight_norm", "spectral_norm", "parallel"])
def test_wrappers_do_not_change_the_macs(wrap):
    plain = nn.Sequential(nn.Linear(16, 4), nn.ReLU()).eval()
    x = torch.randn(2, 16)
    parametrizations = nn.utils.parametrizations
    wrapped = {
        "script": lambda: torch.jit.script(plain),
        "trace": lambda: torch.jit.trace(plain, x),
        "compile": lambda: torch.compile(plain, backend="eager"),
        "export": lambda: torch.export.export(plain, (x,)).module(),
        "weight_norm": lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(16, 4))),
        # W v for its one singular value: 4·16, then uᵀ(Wv): 4
        "spectral_norm": lambda: nn.Sequential(parametrizations.spectral_norm(nn.Linear(16, 4))).eval(),
        "parallel": lambda: nn.DataParallel(plain),
    }[wrap]()
    assert macs(wrapped, spec(2, 16)) == 2 * 16 * 4 + (64 + 4 if wrap == "spectral_norm" else 0)


def test_weight_norm_has_a_rule():
    assert uncosted(nn.utils.parametrizations.weight_norm(nn.Linear(16, 4)), spec(2, 16)) == []


# Law 3: no arithmetic, no memory


@pytest.mark.parametrize("build", [lambda: nn.Conv3d(3, 64, 3), lambda: weightless(nn.Conv3d, 3, 64, 3)])
def test_inputs_of_many_terabytes_cost_nothing(build):
    side = 30_002
    assert macs(build(), spec(8, 3, 34, side, side)) == 8 * 64 * 81 * 32 * (side - 2) ** 2


def test_real_weights_are_read_by_no_kernel():
    """A forward pass over these would hold 25 GB of activations for every layer."""
    layers = nn.Sequential(*(m for _ in range(50) for m in (nn.Linear(64, 64), nn.GELU(), nn.LayerNorm(64))))
    assert macs(layers, spec(100, 1_000_000, 64)) == 50 * 10**8 * 64 * 64


def test_real_inputs_are_not_copied():
    x = torch.randn(1, 1).expand(10**6, 10**6)  # four bytes that look like four terabytes
    assert macs(nn.Sequential(nn.ReLU(), nn.Linear(10**6, 3)), x) == 3 * 10**12


# The ladder: which engine runs

LADDER = {
    "item of a shape": ("meta", lambda m, x: m.linear(x) if torch.tensor(x.shape).prod().item() > 3 else x),
    "literal beside unknown": ("meta", lambda m, x: m.linear(x)[: torch.tensor(9, device=x.device).item()]),
    "literal of its own kind": ("meta", lambda m, x: m.linear(x)[: int(x.new_tensor([9.0])[0])]),
    "known mask": ("meta", lambda m, x: m.linear(x[torch.arange(4) < 4])),
    "mask as large as an image": ("meta", lambda m, x: m.linear(x) if torch.ones(300, 300).bool().all() else x),
    "numbers are finite": ("meta", lambda m, x: m.linear(x) if torch.isfinite(x).all() else x),
    "no number is infinite": ("meta", lambda m, x: x if torch.isinf(x).any() else m.linear(x)),
    "torch asserts": ("meta", lambda m, x: (torch._check_tensor_all(x < 3), m.linear(x))[1]),
    "cond on a known value": (
        "meta",
        lambda m, x: torch.cond(torch.tensor(True), m.linear, lambda y: m.linear(y) @ torch.ones(3, 3), (x,)),
    ),
    "unknown mask": ("real", lambda m, x: (x[x > 100], m.linear(x))[1]),
    "item of an unknown": ("real", lambda m, x: m.linear(x) if x.sum().item() < 1e9 else x),
    "numpy": ("real", lambda m, x: m.linear(torch.from_numpy(x.cpu().numpy() + 1))),
    "cond on an unknown value": (
        "real",
        lambda m, x: torch.cond(x.sum() < 1e9, m.linear, lambda y: y[:, :3] * 1, (x,)),
    ),
}


@pytest.mark.filterwarnings("ignore:isinstance.treespec, LeafSpec:FutureWarning")
@pytest.mark.parametrize("case", LADDER)
def test_ladder(case):
    engine, forward = LADDER[case]
    module = Module(forward, linear=nn.Linear(16, 3))
    found = trace(module, (spec(4, 16),))
    assert found.engine == engine
    assert sum(costed.work.macs for costed in cost(found.ops)) == 4 * 16 * 3


@pytest.mark.parametrize("case", [name for name, (engine, _) in LADDER.items() if engine == "real"])
def test_without_weights_the_end_of_the_ladder_says_why(case):
    module = weightless(lambda: Module(LADDER[case][1], linear=nn.Linear(16, 3)))
    with pytest.raises(TraceError, match="cannot be traced without its values") as caught:
        trace(module, (spec(4, 16),))
    assert "  real    the module has no weights (it is on the meta device)" in str(caught.value)
    assert "  fix     give the module with real weights" in str(caught.value)


def test_known_masks_pick_what_they_say():
    """VideoMAE: 6 of 8 tokens are masked, and only the others are encoded."""
    module = Module(lambda m, x, mask: m.linear(x[~mask].reshape(2, -1, 16)), linear=nn.Linear(16, 3))
    mask = torch.tensor([[True] * 6 + [False] * 2] * 2)
    assert trace(module, (spec(2, 8, 16), mask)).engine == "meta"
    assert macs(module, spec(2, 8, 16), mask) == 2 * 2 * 16 * 3


def test_what_a_known_mask_picks_of_known_values_is_known():
    """Qwen's positions: the kinds of tokens that are not masked determine the number of positions."""

    def forward(m, x, kinds, mask):
        return m.linear(x[:, : sum(kinds[0][mask[0].bool()].tolist())])

    kinds, mask = torch.tensor([[1, 1, 0, 1, 1]]), torch.tensor([[1, 1, 1, 1, 0]])
    module = Module(forward, linear=nn.Linear(16, 3))
    assert trace(module, (spec(2, 8, 16), kinds, mask)).engine == "meta"
    assert macs(module, spec(2, 8, 16), kinds, mask) == 2 * 3 * 16 * 3


def test_lists_of_unknown_numbers_are_made_of_real_ones():
    """JetMoE reads how many tokens each expert gets: `.tolist()` leaves the dispatcher."""
    module = Module(lambda m, x: (m.linear(x), x.argmax(-1).tolist())[0], linear=nn.Linear(16, 3))
    assert trace(module, (spec(4, 16),)).engine == "real"
    assert macs(module, spec(4, 16)) == 4 * 16 * 3


@pytest.mark.parametrize("engine", ["meta", "real"])
def test_statistics_written_beside_a_result(engine):
    """Batch normalisation under the name that writes its running mean: the result is new, the mean is restored."""
    norm = nn.BatchNorm1d(3)

    def forward(m, x):
        legit = torch.ops.aten._native_batch_norm_legit
        y, _, _ = legit(x, m.norm.weight, m.norm.bias, m.norm.running_mean, m.norm.running_var, True, 0.1, 1e-5)
        return m.linear(y)

    report = count_flops(Module(forward, norm=norm, linear=nn.Linear(3, 2)), (4, 3), engine=engine, strict=True)
    assert (report.macs, report.other_flops) == (4 * 3 * 2, 4 * 3 * 7 + 4 * 2)
    assert norm.running_mean.tolist() == [0, 0, 0]


@pytest.mark.filterwarnings("ignore:flex_attention called without:UserWarning")
@pytest.mark.parametrize("blocks", [False, True])
def test_flex_attention(blocks):
    from torch.nn.attention import flex_attention as flex

    def forward(m, x):
        mask = flex.create_block_mask(lambda b, h, i, j: i >= j, None, None, 8, 8, device="cpu") if blocks else None
        return flex.flex_attention(x, x, x, score_mod=lambda score, b, h, i, j: score + i - j, block_mask=mask)

    found = trace(Module(forward), (spec(2, 4, 8, 6),))
    assert found.engine == "fake"  # torch refuses meta tensors here
    assert sum(costed.work.macs for costed in cost(found.ops)) == ATTENTION
    assert flex._FLEX_ATTENTION_DISABLE_COMPILE_DEBUG is False


def test_packed_sequences_cost_their_real_steps():
    def forward(m, x, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return nn.utils.rnn.pad_packed_sequence(m.lstm(packed)[0], batch_first=True)

    module = Module(forward, lstm=nn.LSTM(16, 8, batch_first=True))
    lengths = torch.tensor([5, 8])
    for engine in ("meta", "real"):
        assert macs(module, spec(2, 8, 16), lengths, engine=engine) == (5 + 8) * 32 * (16 + 8)


def test_gradients_inside_a_forward_pass():
    def forward(m, x):
        with torch.enable_grad():
            y = x.detach().clone().requires_grad_()
            return torch.autograd.grad((y @ m.weight).sum(), y)[0]

    found = trace(Module(forward, weight=weight(16, 4)), (spec(2, 8, 16),))
    assert found.engine == "meta"  # with gradients, and without values
    assert sum(costed.work.macs for costed in cost(found.ops)) == 2 * LINEAR  # x @ W forward, g @ Wᵀ backward


@contextlib.contextmanager
def custom_op(name, *, fake):
    library = torch.library.Library("flopcount_tests", "FRAGMENT")
    library.define(f"{name}(Tensor x) -> Tensor")
    library.impl(name, lambda x: x * 2, "CPU")
    if fake:
        library.impl(name, torch.empty_like, "Meta")
    yield getattr(torch.ops.flopcount_tests, name)
    library._destroy()


@pytest.mark.parametrize(("fake", "engine"), [(True, "meta"), (False, "real")])
def test_custom_operators_are_listed(fake, engine):
    with custom_op(f"double_{engine}", fake=fake) as double:
        module = Module(lambda m, x: m.linear(double(x)), linear=nn.Linear(16, 4))
        assert trace(module, (spec(2, 16),)).engine == engine
        assert uncosted(module, spec(2, 16)) == [f"flopcount_tests.double_{engine}"]


def test_buffers_written_in_forward_are_read_again():
    def forward(m, x):
        m.steps.add_(1)
        for _ in range(m.steps.item()):
            x = m.linear(x)
        return x

    module = Module(forward, linear=nn.Linear(16, 16), steps=nn.Buffer(torch.tensor(1)))
    for engine in ("meta", "real", "meta"):
        assert macs(module, spec(2, 16), engine=engine) == 2 * (2 * 16 * 16)
        assert module.steps.item() == 1


def test_fake_tensors_do_not_reach_real_buffers():
    module = Module(lambda m, x: m.seen.add_(1) * x, seen=nn.Buffer(torch.tensor(1.0)))
    trace(module, (spec(2),), engine="fake")
    assert module.seen.item() == 1


def test_a_wrong_shape_is_an_error_on_every_engine():
    for engine in ENGINES:
        with pytest.raises(ForwardError):
            trace(nn.Linear(16, 4), (spec(2, 8),), engine=engine)


def test_an_installed_library():
    ready_torchvision()  # which transformers imports, if it is there
    vivit = pytest.importorskip("transformers.models.vivit.modeling_vivit", exc_type=ImportError)
    module = weightless(vivit.VivitForVideoClassification, vivit.VivitConfig(num_labels=400))
    found = trace(module, (), {"pixel_values": spec(1, 32, 3, 224, 224)})
    tokens, width = 16 * 14 * 14 + 1, 768  # tubelets of 2×16×16, and a class token
    per_layer = 4 * tokens * width**2 + 2 * tokens**2 * width + 2 * tokens * width * 4 * width
    embedding = (tokens - 1) * width * (3 * 2 * 16 * 16)
    assert found.engine == "meta"
    assert sum(costed.work.macs for costed in cost(found.ops)) == embedding + 12 * per_layer + width * 400


class Experts(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 8, 4))
        self.register_buffer("ends", torch.tensor([2, 2, 7], dtype=torch.int32))

    def forward(self, x):
        return torch._grouped_mm(x, self.weight, offs=self.ends)


def test_experts_in_float32_need_no_cuda_kernel():
    """Torch's meta kernel takes only bfloat16, its CPU kernel any dtype."""
    costs = {engine: count_flops(Experts(), (7, 8), engine=engine).macs for engine in ("meta", "real")}
    assert costs == {"meta": 7 * 8 * 4, "real": 7 * 8 * 4}
    with pytest.raises(ForwardError, match="_grouped_mm"):
        count_flops(Experts(), (7, 9))


def test_a_literal_beside_a_tensor_without_data():
    """quantile(0.5) makes a tensor of its number and requires both on one device."""
    report = count_flops(Module(lambda m, x: m.a(x).quantile(0.5), a=nn.Linear(8, 8)), (64, 8))
    assert report.macs == 64 * 64
    assert report.engine in ("meta", "fake", *(("real",) if TORCH < (2, 12) else ()))  # it compared the number


@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")
@pytest.mark.parametrize("sizes", [(0,), (3, 8), (5, 8)])
def test_out_takes_the_size_of_the_result(sizes):
    def scaled(x, layer):
        out = x.new_empty(sizes)
        torch.mul(x, 2, out=out)
        return layer(out)

    for engine in ("auto", "fake", "real"):
        assert count_flops(Apply(scaled, nn.Linear(8, 8)), (5, 8), engine=engine).macs == 5 * 8 * 8
