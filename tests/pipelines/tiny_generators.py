"""Pipelines of diffusers with tiny networks and real weights, and the sizes from which the same job is counted."""

from __future__ import annotations

import torch

import flopcount
from flopcount.facts.model_sizes import Defaults, ModelPart, ModelSizes

T5 = {
    "vocab_size": 16, "d_model": 32, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4,
    "relative_attention_num_buckets": 8, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False,
}  # fmt: skip


def tokenizer(length):
    """Words to numbers, filled up to a length; nothing is downloaded."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(WordLevel({"<pad>": 0, "</s>": 1, "cat": 2, "runs": 3, "<unk>": 4}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=length
    )


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
