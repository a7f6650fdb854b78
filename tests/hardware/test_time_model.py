"""The formula by hand, its laws, and a fit that finds the constants that made the times."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flopcount.core.errors import InputError
from flopcount.facts import find_device
from flopcount.hardware.fitting import (
    PRIOR,
    Sample,
    errors_of,
    fit,
    leave_family_out,
    predicted,
    rank_correlation,
    stacked,
)
from flopcount.hardware.kernels import CONTRACTING, Family, Kernel
from flopcount.hardware.precision import PRECISIONS, peaks_of
from flopcount.hardware.time_model import (
    COMPUTE,
    CONSTANTS,
    TRAFFIC,
    Constants,
    Kernels,
    bound_of,
    seconds_of,
    slopes_of,
)

RTX_4090 = find_device("rtx-4090")  # 165.2 TFLOP/s in half precision, 82.6 in float32, 1008 GB/s


def kernel(family=Family.CONV, flops=0.0, padded=None, nbytes=0.0, launches=1.0, peak="fp16"):
    return Kernel(family, (0,), (1.0,), flops, flops if padded is None else padded, nbytes, nbytes, launches, peak)


def constants(**values):
    named = (
        dict.fromkeys(CONSTANTS, 1.0)
        | {"launch": 0.0 + 1e-12}
        | {k.replace("_", ": ", 1): v for k, v in values.items()}
    )
    return Constants(tuple(named[name] for name in CONSTANTS))


def of(*kernels, device=RTX_4090, precision="amp"):
    return Kernels.of(kernels, device, PRECISIONS[precision])


def test_one_kernel_by_hand():
    """3.304e9 padded FLOPs at 165.2e12 are 20 us, times 1.5 are 30; 20.16 MB at 1008 GB/s are 20 us, times 2 are 40.

    Together sqrt(30^2 + 40^2) = 50 us, and two launches of 5 us make 60.
    """
    one = of(kernel(flops=1.652e9, padded=3.304e9, nbytes=20.16e6, launches=2.0))
    values = constants(compute_convolution=1.5, bytes_convolution=2.0, launch=5e-6)
    assert seconds_of(one, values.values)[0] == pytest.approx(60e-6)


def test_the_bound_by_hand():
    """Not padded: 1.652e9 FLOPs are 10 us at the peak, less than 20 us for its data; launches cost nothing."""
    one = of(kernel(flops=1.652e9, padded=3.304e9, nbytes=20.16e6))
    assert bound_of(one) == pytest.approx(20e-6)
    assert bound_of(of(kernel(flops=16.52e9, nbytes=20.16e6))) == pytest.approx(100e-6)


def test_vector_work_runs_at_the_vector_rate():
    """826e6 FLOPs at 82.6e12 are 10 us."""
    one = of(kernel(Family.DEPTHWISE, flops=826e6, peak="fp32"))
    assert seconds_of(one, constants().values)[0] == pytest.approx(10e-6)


def test_every_family_has_its_constants():
    assert set(COMPUTE) == set(CONTRACTING)
    assert set(TRAFFIC) == set(Family)
    assert len(CONSTANTS) == len(set(CONSTANTS)) == len(set(COMPUTE.values())) + len(set(TRAFFIC.values())) + 1


def test_a_missing_peak_is_named():
    with pytest.raises(InputError, match="no time of amp on core-i7-12700h: the fp16 peak of it is not known"):
        peaks_of(find_device("core-i7-12700h"), PRECISIONS["amp"])
    with pytest.raises(InputError, match="the memory bandwidth"):
        peaks_of(find_device("titan-v"), PRECISIONS["fp32"])


def test_convolutions_in_float32_run_in_tf32_where_the_device_has_it():
    a100, v100 = find_device("a100-80gb-sxm"), find_device("v100-sxm2")
    assert peaks_of(a100, PRECISIONS["fp32"]) == {"fp32": 19.5e12, "tf32": 156e12}
    assert peaks_of(v100, PRECISIONS["fp32"])["tf32"] == 15.7e12


@pytest.mark.parametrize("values", [(1.0,), (0.0,) * len(CONSTANTS)])
def test_constants_are_complete_and_above_zero(values):
    with pytest.raises(InputError):
        Constants(values)


KERNELS = st.builds(
    kernel,
    st.sampled_from(list(Family)),
    st.floats(0, 1e12),
    st.none(),
    st.floats(1, 1e9),
    st.floats(1, 4),
)
VALUES = st.lists(st.floats(0.1, 50), min_size=len(CONSTANTS), max_size=len(CONSTANTS))


@given(st.lists(KERNELS, min_size=1, max_size=6), VALUES)
def test_slopes_are_those_of_the_formula(kernels, values):
    """Against differences: a constant that grows by a hundred-thousandth."""
    columns = of(*kernels)
    object.__setattr__(columns, "row", np.zeros(len(kernels), dtype=int))
    values = np.array(values) * 1e-3
    seconds, slopes = slopes_of(columns, values, 1)
    assert seconds[0] == pytest.approx(float(np.sum(seconds_of(columns, values))))
    for at in range(len(values)):
        more = values.copy()
        more[at] *= 1 + 1e-5
        slope = (float(np.sum(seconds_of(columns, more))) - seconds[0]) / math.log1p(1e-5)
        assert slope == pytest.approx(slopes[0, at], rel=1e-2, abs=1e-7 * seconds[0])


def made_up(count, truth, seed=0, noise=0.0):
    """Networks of random kernels whose times follow the formula."""
    random = np.random.default_rng(seed)
    samples = []
    for at in range(count):
        kernels = [
            kernel(
                list(Family)[random.integers(len(Family))],
                flops=float(10 ** random.uniform(8, 11)),
                nbytes=float(10 ** random.uniform(6, 9)),
            )
            for _ in range(random.integers(5, 30))
        ]
        columns = of(*kernels)
        seconds = float(np.sum(seconds_of(columns, truth.values))) * math.exp(random.normal(0, noise))
        samples.append(Sample(f"net{at}", f"family{at % 8}", columns, seconds, 1))
    return samples


def test_a_fit_finds_the_times_that_made_it():
    random = np.random.default_rng(1)
    truth = Constants((*(float(value) for value in random.uniform(0.9, 3.5, len(CONSTANTS) - 1)), 5e-6))
    samples = made_up(300, truth)
    again = fit(samples)
    assert errors_of(samples, predicted(samples, again)).median < 0.01
    unseen = errors_of(samples, leave_family_out(samples))
    assert unseen.median < 0.01
    assert unseen.rank > 0.999
    assert unseen.families == 8


def test_the_range_of_noise_is_that_of_noise():
    """Times off by a normal factor of 20 %: the 10th and 90th percentile are 1.2816 deviations away, +-0.256."""
    samples = made_up(400, PRIOR, noise=0.2)
    errors = errors_of(samples, leave_family_out(samples))
    assert errors.low == pytest.approx(-0.256, abs=0.06)
    assert errors.high == pytest.approx(0.256, abs=0.06)


def test_a_family_that_is_left_out_does_not_count():
    """Times of one family that are ten times too long change nothing of what it is predicted as."""
    samples = made_up(80, PRIOR)
    wrong = [Sample(s.name, s.family, s.kernels, s.seconds * (10 if s.family == "family3" else 1), 1) for s in samples]
    mine = [at for at, sample in enumerate(samples) if sample.family == "family3"]
    right, despite = leave_family_out(samples, folds=8), leave_family_out(wrong, folds=8)
    assert despite[mine] == pytest.approx(right[mine])
    others = [at for at in range(len(samples)) if at not in mine]
    assert despite[others] != pytest.approx(right[others])


def test_a_prediction_is_never_below_the_bound():
    samples = made_up(20, PRIOR)
    tiny = Constants((*(1e-6,) * (len(CONSTANTS) - 1), 1e-12))
    assert list(predicted(samples, tiny)) == pytest.approx([sample.bound for sample in samples])


@settings(max_examples=30)
@given(st.lists(st.floats(0.1, 100), min_size=3, max_size=30, unique=True))
def test_rank_correlation_is_spearmans(values):
    from scipy.stats import spearmanr

    other = [math.sin(value) + value / 50 for value in values]
    assert rank_correlation(np.array(values), np.array(other)) == pytest.approx(spearmanr(values, other)[0])


def test_ties_share_their_rank():
    from scipy.stats import spearmanr

    a, b = np.array([1, 2, 2, 3, 3, 3.0]), np.array([2, 1, 1, 3, 4, 4.0])
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b)[0])


def test_stacked_kernels_know_their_network():
    samples = made_up(3, PRIOR)
    together = stacked(samples)
    assert list(np.bincount(together.row)) == [len(sample.kernels.times) for sample in samples]
