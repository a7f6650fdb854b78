"""Tiny video-language models of every family: sizes that run in an instant, with real weights where a test asks."""

from flopcount.facts.model_sizes import ModelPart, ModelSizes

ROPE = {"rope_type": "default", "rope_theta": 1e4}
TEXT = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
MULTIMODAL = {**TEXT, "rope_parameters": {**ROPE, "mrope_section": [1, 1, 2]}}
QWEN2 = {**TEXT, "model_type": "qwen2", "rope_parameters": ROPE}
LLAMA = {**TEXT, "model_type": "llama", "rope_parameters": ROPE}
IDS = {"image_token_id": 60, "video_token_id": 61, "vision_start_token_id": 62, "vision_end_token_id": 63}
UNTIED = {**IDS, "tie_word_embeddings": False}
TOWER = {"num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 40, "num_attention_heads": 2}
QWEN_TOWER = {"hidden_size": 32, "intermediate_size": 40, "num_heads": 2, "out_hidden_size": 32}
DEEP = {"num_position_embeddings": 64, "deepstack_visual_indexes": [0, 1], "patch_size": 16, "depth": 3}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
EVERY_LAYER = {"decoder_sparse_step": 1, "mlp_only_layers": []}

CONFIGS = {
    "Qwen2VLForConditionalGeneration": {
        "text_config": MULTIMODAL,
        "vision_config": {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2},
    },
    "Qwen2_5_VLForConditionalGeneration": {
        "text_config": MULTIMODAL,
        "vision_config": {**QWEN_TOWER, "depth": 2, "fullatt_block_indexes": [1]},
    },
    "Qwen3VLForConditionalGeneration": {
        "text_config": {**MULTIMODAL, "head_dim": 8},
        "vision_config": {**QWEN_TOWER, **DEEP},
    },
    "Qwen3VLMoeForConditionalGeneration": {
        "text_config": {**MULTIMODAL, **EXPERTS, **EVERY_LAYER, "head_dim": 8},
        "vision_config": {**QWEN_TOWER, **DEEP},
    },
    "InternVLForConditionalGeneration": {
        "text_config": QWEN2,
        "vision_config": {**TOWER, "image_size": [56, 56], "patch_size": [14, 14]},
        "downsample_ratio": 0.5,
    },
    "LlavaOnevisionForConditionalGeneration": {
        "text_config": QWEN2,
        "vision_config": {**TOWER, "model_type": "siglip_vision_model", "image_size": 70, "patch_size": 14}
        | {"vision_use_head": False},
        "vision_feature_select_strategy": "full",
        "vision_feature_layer": -1,
    },
    "LlavaNextVideoForConditionalGeneration": {
        "text_config": LLAMA,
        "vision_config": {**TOWER, "model_type": "clip_vision_model", "image_size": 56, "patch_size": 14},
        "vision_feature_layer": -2,
        "vision_feature_select_strategy": "default",
    },
    "VideoLlama3ForConditionalGeneration": {
        "text_config": QWEN2,
        "vision_config": {**TOWER, "patch_size": 14},
    },
    "SmolVLMForConditionalGeneration": {
        "text_config": LLAMA,
        "vision_config": {**TOWER, "image_size": 56, "patch_size": 14},
        "scale_factor": 2,
    },
}


def tiny(class_name, **text):
    """A tiny model of a class, with other fields of its text."""
    config = {**UNTIED, **CONFIGS[class_name]}
    config["text_config"] = {**config["text_config"], **text}
    part = ModelPart("whole", "transformers", class_name, config)
    return ModelSizes("tiny", "", "language", {"whole": part})
