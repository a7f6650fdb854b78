"""Pipelines of diffusers with tiny networks and real weights, and the sizes from which the same job is counted."""

from __future__ import annotations

from types import SimpleNamespace

import torch

import flopcount
from flopcount.facts.model_sizes import Defaults, ModelPart, ModelSizes

T5 = {
    "vocab_size": 16, "d_model": 32, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4,
    "relative_attention_num_buckets": 8, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False,
}  # fmt: skip


class Words:
    """A tokenizer of words, called as those of transformers are; its numbers begin at 2, after padding and the end."""

    def __init__(self, length):
        self.model_max_length = length

    def __call__(self, text, *, padding="longest", max_length=None, **ignored):
        rows = [[2 + len(word) for word in each.split()] + [1] for each in ([text] if isinstance(text, str) else text)]
        length = max_length or self.model_max_length if padding == "max_length" else max(map(len, rows))
        rows = [row[:length] for row in rows]
        ids = torch.tensor([row + [0] * (length - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
        return SimpleNamespace(input_ids=ids, attention_mask=mask)

    def batch_decode(self, ids):
        """The pipelines warn of words that they cut off."""
        return ["..." for _ in ids]


def part(name, library, class_name, config, **more):
    return ModelPart(name, library, class_name, config, **more)


def sizes(name, parts, video, steps, *, guidance=True, text_tokens=8, **more):
    frames, height, width = video
    defaults = Defaults(frames, height, width, steps, guidance, text_tokens, None)
    return ModelSizes(name, "", "generation", {part.name: part for part in parts}, defaults, **more)


def built(part):
    """With random weights; transformers and diffusers build from a configuration."""
    from flopcount.models.part import part_builder

    return part_builder(part)()


def macs_of_call(pipeline, **arguments):
    """MACs of a whole call of a real pipeline, by the name that it has for each of its models."""
    models = {name: module for name, module in pipeline.components.items() if hasattr(module, "parameters")}
    pipeline.set_progress_bar_config(disable=True)
    with torch.no_grad(), flopcount.counting(models=models) as counted:
        pipeline(**arguments)
    return {row.path: row.cost.macs for row in counted.modules if row.path in models} | {"": counted.macs}


def stages(job):
    """MACs of each stage, all its repeats together."""
    return {stage.name: job.part(stage.name).macs for stage in job.stages}


WAN = part(
    "denoiser",
    "diffusers",
    "WanTransformer3DModel",
    {
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "in_channels": 4,
        "out_channels": 4,
        "text_dim": 32,
        "freq_dim": 16,
        "ffn_dim": 20,
        "num_layers": 2,
    },
)
WAN_VAE = part(
    "vae",
    "diffusers",
    "AutoencoderKLWan",
    {
        "base_dim": 3,
        "z_dim": 4,
        "dim_mult": [1, 1, 1, 1],
        "num_res_blocks": 1,
        "temperal_downsample": [False, True, True],
        "latents_mean": [0.0] * 4,
        "latents_std": [1.0] * 4,
    },
)
UMT5 = part("text_encoder", "transformers", "UMT5EncoderModel", T5)
