"""Operators that move, create or pick data: they have bytes and no arithmetic."""

from __future__ import annotations

from ..core.ops import Kind, TensorSpec, Work, tensors_in
from .charges import gathered, parts
from .registry import rule

__all__: list[str] = []

_SOURCE = "PyTorch ATen native_functions.yaml: no arithmetic on elements"


def _register(kind: Kind, ops: str, counts: str, **bytes_moved: int) -> None:
    """A zero-FLOP rule per name; `bytes_moved` where the default of inputs plus outputs is wrong."""
    for op in ops.split():

        def moved(*, out: object) -> Work:
            return Work(**bytes_moved)

        moved.__doc__ = f"{op}.\n\nCounts: no FLOPs; {counts}."
        moved.__qualname__ = op
        rule(f"aten.{op}", kind=kind, source=_SOURCE)(moved)


_register(
    Kind.MOVEMENT,
    """clone contiguous _to_copy to _copy_from cat stack roll flip rot90 repeat tril triu masked_fill where
    pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle im2col constant_pad_nd pad _pad_circular
    _pad_enum reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d
    replication_pad3d scatter index_copy index_fill masked_scatter slice_scatter select_scatter diagonal_scatter
    as_strided_scatter diag_embed diag diagonal_copy max_unpool2d max_unpool3d complex view_as_complex_copy
    view_as_real_copy conj_physical _conj_physical resolve_conj resolve_neg narrow_copy expand_copy unfold_copy
    _reshape_copy permute_copy block_diag nonzero argwhere masked_select repeat_interleave one_hot
    _pack_padded_sequence _pad_packed_sequence lift lift_fresh lift_fresh_copy to_dense flatten_dense_tensors
    _nested_tensor_from_mask nonzero_static split_copy unbind_copy split_with_sizes_copy reshape reshape_as flatten
    _convert_weight_to_int4pack _convert_weight_to_int4pack_for_cpu _dyn_quant_pack_4bit_weight""",
    "every input read once, every output written once",
)
_register(
    Kind.MOVEMENT,
    """empty empty_like empty_strided empty_permuted new_empty new_empty_strided _efficientzerotensor resize resize_""",
    "memory reserved, nothing written",
    bytes_read=0,
    bytes_written=0,
)
_register(
    Kind.MOVEMENT,
    """zeros ones full eye arange linspace logspace range scalar_tensor zeros_like ones_like full_like new_zeros
    _new_zeros_with_same_feature_meta new_ones new_full fill fill_ zero zero_ tril_indices triu_indices hann_window
    hamming_window""",
    "the output written, nothing read",
    bytes_read=0,
)
_register(
    Kind.RANDOM,
    """rand randn randint randperm rand_like randn_like randint_like normal normal_ uniform uniform_ bernoulli
    bernoulli_ multinomial exponential exponential_ random_ random log_normal_ cauchy_ geometric_ poisson
    _sample_dirichlet _standard_gamma""",
    "random numbers are not the network's arithmetic",
    bytes_read=0,
)
_register(
    Kind.VIEW,
    """item _local_scalar_dense is_same_size _assert_async _assert_scalar _assert_tensor_metadata is_pinned pin_memory
    record_stream set_data requires_grad_ retain_grad _has_same_storage_numel""",
    "reads metadata or one value",
    bytes_read=0,
    bytes_written=0,
)
_register(
    Kind.VIEW,
    """_unsafe_view unsafe_split unsafe_split_with_sizes transpose_ t_ swapaxes_ swapdims_ squeeze_ unsqueeze_
    as_strided_ detach_ set_""",
    "a view, although the schema does not say so",
    bytes_read=0,
    bytes_written=0,
)


@rule("aten.copy", kind=Kind.MOVEMENT)
def copy(src: TensorSpec | float, *, out: object) -> Work:
    """Overwrites a tensor with another, or with a number.

    Counts: no FLOPs; the old values are not read.
    Source: PyTorch documentation of torch.Tensor.copy_
    """
    return Work(bytes_read=sum(spec.nbytes for spec in tensors_in(src)))


@rule("aten.embedding", kind=Kind.EMBEDDING)
def embedding(indices: TensorSpec, *, out: TensorSpec) -> Work:
    """Rows of a table.

    Counts: no FLOPs; reads the rows it returns and the indices, not the table.
    Source: PyTorch documentation of torch.nn.Embedding
    """
    return Work(bytes_read=gathered(indices, out))


@rule("aten.embedding_bag", "aten._embedding_bag", "aten._embedding_bag_forward_only", kind=Kind.EMBEDDING)
def embedding_bag(
    weight: TensorSpec, indices: TensorSpec, per_sample_weights: TensorSpec | None = None, *, out: object
) -> Work:
    """Rows of a table, added up in bags.

    Counts: one add (or comparison) per picked element, one multiply where weighted; reads the rows it picks and the
        indices.
    Source: PyTorch documentation of torch.nn.EmbeddingBag
    """
    elements = indices.numel * weight.shape[-1]
    weighted = per_sample_weights is not None
    return Work(other_flops=elements * (1 + weighted), bytes_read=elements * weight.itemsize + indices.nbytes)


@rule("aten.index", "aten.index_select", "aten.gather", "aten.take", "aten.take_along_dim", "aten._unsafe_index",
      kind=Kind.MOVEMENT)  # fmt: skip
def gather(index: object = None, indices: object = None, *, out: TensorSpec) -> Work:
    """Elements picked by an index.

    Counts: no FLOPs; reads the picked elements and the index, not the whole input.
    Source: PyTorch documentation of torch.gather
    """
    return Work(bytes_read=gathered((index, indices), out))


@rule("aten.index_put", "aten._unsafe_index_put", "aten._index_put_impl_", kind=Kind.MOVEMENT)
def index_put(values: TensorSpec, accumulate: bool = False, *, out: TensorSpec) -> Work:
    """Elements written to the places of an index.

    Counts: no FLOPs; where it accumulates, one add per value.
    Source: PyTorch documentation of torch.Tensor.index_put_
    """
    return Work(other_flops=values.numel * parts(out) if accumulate and out.is_floating else 0)


@rule("aten.scatter_add", "aten.index_add", "aten.scatter_reduce", "aten.index_reduce", "aten.scatter.reduce",
      "aten.scatter.value_reduce", kind=Kind.REDUCE)  # fmt: skip
def scatter_add(index: TensorSpec, source: TensorSpec | None = None, *, out: TensorSpec) -> Work:
    """Elements added (or combined otherwise) into the places of an index.

    Counts: one per scattered element.
    Source: PyTorch documentation of torch.Tensor.scatter_add
    """
    addends = index if source is None else source  # index_add picks whole slices, the others single elements
    return Work(other_flops=addends.numel * parts(out) if out.is_floating else 0)


@rule("aten.col2im", kind=Kind.REDUCE)
def col2im(self: TensorSpec, *, out: object) -> Work:
    """Overlapping blocks added back into an image.

    Counts: one add per element of the blocks.
    Source: PyTorch documentation of torch.nn.Fold
    """
    return Work(other_flops=self.numel if self.is_floating else 0)
