"""What the parameter sets of H.264 say that is needed to read when a picture is shown.

Sources: ISO/IEC 14496-10 (H.264) clauses 7.3.2.1.1, 7.3.2.1.1.1 and 7.3.2.2, whose order of fields is that of the code.
"""

from __future__ import annotations

from dataclasses import dataclass

from .bit_reader import BitReader, NotUnderstood

__all__ = ["PictureSet", "SequenceSet", "read_picture_set", "read_sequence_set"]

_PLAIN_PROFILES = {66, 77, 88}
_HIGH_PROFILES = {44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244}


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """Of a sequence.

    Arguments:
        chroma: ChromaArrayType, 0 where colours are not coded with the luma.
        planes: separate_colour_plane_flag.
        number_bits: length of frame_num.
        kind: pic_order_cnt_type: 0, 1 or 2.
        low_bits: length of pic_order_cnt_lsb, of kind 0.
        no_deltas: delta_pic_order_always_zero_flag, of kind 1.
        unreferred: offset_for_non_ref_pic, of kind 1.
        bottom: offset_for_top_to_bottom_field, of kind 1.
        cycle: offset_for_ref_frame, of kind 1.
        frames_only: frame_mbs_only_flag.
    """

    chroma: int
    planes: bool
    number_bits: int
    kind: int
    low_bits: int = 0
    no_deltas: bool = False
    unreferred: int = 0
    bottom: int = 0
    cycle: tuple[int, ...] = ()
    frames_only: bool = True


@dataclass(frozen=True, slots=True)
class PictureSet:
    """Of a picture.

    Arguments:
        sequence: number of its SequenceSet.
        bottom_given: bottom_field_pic_order_in_frame_present_flag.
        references: how many pictures P and B refer to, of each list, where a slice does not say.
        weighted: whether slices of P pictures have tables of weights.
        weighted_b: whether those of B pictures have.
        redundant: redundant_pic_cnt_present_flag.
    """

    sequence: int
    bottom_given: bool
    references: tuple[int, int]
    weighted: bool
    weighted_b: bool
    redundant: bool


def read_sequence_set(bits: BitReader) -> tuple[int, SequenceSet]:
    """seq_parameter_set_data: its number, and what it says.

    Raises:
        NotUnderstood: it ends too soon, or is of an unknown profile.
    """
    profile = bits.bits(8)
    if profile not in _PLAIN_PROFILES | _HIGH_PROFILES:
        raise NotUnderstood(f"profile {profile} is unknown")
    bits.bits(16)  # constraints and level
    name = bits.number(31)
    chroma, planes = _colours(bits) if profile in _HIGH_PROFILES else (1, False)
    number_bits = bits.number(12) + 4
    kind = bits.number(2)
    low_bits, no_deltas, unreferred, bottom = 0, False, 0, 0
    cycle: tuple[int, ...] = ()
    if kind == 0:
        low_bits = bits.number(12) + 4
    elif kind == 1:
        no_deltas, unreferred, bottom = bits.flag(), bits.signed(), bits.signed()
        cycle = tuple([bits.signed() for _ in range(bits.number(255))])
    bits.unsigned()  # max_num_ref_frames
    bits.flag()  # gaps_in_frame_num_value_allowed_flag
    bits.unsigned()  # width
    bits.unsigned()  # height
    frames_only = bits.flag()
    return name, SequenceSet(
        chroma, planes, number_bits, kind, low_bits, no_deltas, unreferred, bottom, cycle, frames_only
    )


def _colours(bits: BitReader) -> tuple[int, bool]:
    """What high profiles have: ChromaArrayType and separate_colour_plane_flag; depths and scaling lists are skipped."""
    format = bits.number(3)
    planes = format == 3 and bits.flag()
    bits.unsigned()  # bit_depth_luma_minus8
    bits.unsigned()  # bit_depth_chroma_minus8
    bits.flag()  # qpprime_y_zero_transform_bypass_flag
    if bits.flag():
        for number in range(12 if format == 3 else 8):
            if bits.flag():
                _skip_scaling(bits, 16 if number < 6 else 64)
    return (0 if planes else format), planes


def _skip_scaling(bits: BitReader, count: int) -> None:
    """scaling_list: a step that leads to 0 is its last."""
    scale = 8
    for _ in range(count):
        scale = (scale + bits.signed()) % 256
        if not scale:
            return


def read_picture_set(bits: BitReader) -> tuple[int, PictureSet]:
    """pic_parameter_set_rbsp: its number, and what it says.

    Raises:
        NotUnderstood: it ends too soon, or has groups of slices.
    """
    name, sequence = bits.number(255), bits.number(31)
    bits.flag()  # entropy_coding_mode_flag
    bottom_given = bits.flag()
    if bits.unsigned():
        raise NotUnderstood("groups of slices are not read")
    references = bits.number(31) + 1, bits.number(31) + 1
    weighted, weighted_b = bits.flag(), bits.bits(2) == 1
    bits.signed()  # pic_init_qp_minus26
    bits.signed()  # pic_init_qs_minus26
    bits.signed()  # chroma_qp_index_offset
    bits.bits(2)  # deblocking_filter_control_present_flag, constrained_intra_pred_flag
    return name, PictureSet(sequence, bottom_given, references, weighted, weighted_b, bits.flag())
