"""Sizes of today's models: every part builds, without weights, to the parameters that the data say."""

import importlib.util

import pytest
from torch import nn

from flopcount import UnknownNameError, weightless
from flopcount.facts.model_sizes import TASKS, find_sizes, model_sizes
from flopcount.models.part import part_builder
from flopcount.models.sized_names import is_sized, sized_names, sized_part

PARTS = [(sizes.name, role) for sizes in model_sizes().values() for role in sizes.parts]


@pytest.mark.slow
@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("diffusers", "transformers"))), reason="needs diffusers and transformers"
)
@pytest.mark.parametrize(("name", "role"), PARTS)
def test_a_part_has_the_parameters_that_the_data_say(name, role):
    part = find_sizes(name).part(role)
    module: nn.Module = weightless(part_builder(part))
    assert sum(parameter.numel() for parameter in module.parameters()) == part.params_built
    assert not any(parameter.device.type != "meta" for parameter in module.parameters())


def test_every_name_is_found_in_any_case_and_by_its_identifier():
    for sizes in model_sizes().values():
        assert find_sizes(sizes.name.upper()) is sizes
        assert find_sizes(sizes.hub_id) is sizes
        assert sizes.task in (*TASKS, "text")
    with pytest.raises(UnknownNameError, match=r"near    wan2.1-t2v-14b"):
        find_sizes("wan2.1-t2v-14")


def test_names_with_parts():
    assert all(map(is_sized, sized_names()))
    assert not is_sized("c3d")
    assert not is_sized("wan2.1-t2v-1.3bx")
    for name in sized_names():
        sizes, part, half = sized_part(name)
        assert half == ""
        assert name in (sizes.name, f"{sizes.name}/{part.name}")
    sizes, part, half = sized_part("Wan-AI/Wan2.1-T2V-1.3B-Diffusers/vae.decode")
    assert (sizes.name, part.name, half) == ("wan2.1-t2v-1.3b", "vae", "decode")


def test_a_whole_has_all_its_parts():
    assert find_sizes("qwen2.5-vl-7b").params == find_sizes("qwen2.5-vl-7b").part("whole").params_built
    wan = find_sizes("wan2.1-t2v-1.3b")
    assert wan.whole is None
    assert wan.params == sum(part.params_built for part in wan.parts.values())
