"""When HEVC pictures are shown, from the headers of their slices.

Sources: ISO/IEC 23008-2, ITU-T H.265 (HEVC): clauses 7.3.1.2, nal_unit_header; 7.3.2.2.1, 7.3.2.3.1 and 7.3.3,
parameter sets; 7.3.6.1, slice_segment_header; 7.4.2.2, kinds of units; 8.1.3, NoRaslOutputFlag; 8.3.1, picture order
counts; C.5.2.2, pictures that are dropped. Layers beside the base are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .bit_reader import BitReader, NotUnderstood
from .nal_units import length_size, meaning, stored_sets, units
from .shown import Shown

__all__ = ["HevcHeaders", "Picture", "order_counts"]

_RASL, _LEADING, _SUB_LAYER = (8, 9), range(6, 10), range(0, 16, 2)
_IRAP, _BLA, _IDR, _CRA = range(16, 24), (16, 17, 18), (19, 20), 21
_SLICES = (*range(10), *range(16, 22))
_SEQUENCE_SET, _PICTURE_SET, _ENDS = 33, 34, (36, 37)
_HEADER_BYTES = 64
"""Of a slice, which has what is read of its header in them."""


@dataclass(frozen=True, slots=True)
class _SequenceSet:
    planes: bool  # separate_colour_plane_flag
    low_bits: int  # length of slice_pic_order_cnt_lsb


@dataclass(frozen=True, slots=True)
class _PictureSet:
    sequence: int
    output_given: bool  # output_flag_present_flag
    extra_bits: int  # num_extra_slice_header_bits


@dataclass(frozen=True, slots=True)
class Picture:
    """What the first slice of a picture says.

    Arguments:
        kind: nal_unit_type.
        layer: TemporalId.
        low: slice_pic_order_cnt_lsb.
        low_bits: its length.
        visible: pic_output_flag.
        drops: no_output_of_prior_pics_flag, whether pictures before it may never be shown.
        begins: whether the sequence before it was ended.
    """

    kind: int
    layer: int
    low: int
    low_bits: int
    visible: bool = True
    drops: bool = False
    begins: bool = False


class HevcHeaders:
    """Reads the pictures of a stream, packet by packet; parameter sets are kept as they come."""

    def __init__(self, extradata: bytes) -> None:
        self._sequences: dict[int, _SequenceSet] = {}
        self._pictures: dict[int, _PictureSet] = {}
        self._ended = False
        self._size = length_size("hevc", extradata)
        for unit in stored_sets("hevc", extradata):
            self._keep(unit)

    def read(self, packet: bytes) -> Picture:
        """The picture of a packet.

        Raises:
            NotUnderstood: there is none, or not one alone, or something in it is not read here.
        """
        found: list[Picture] = []
        for unit in units(packet, self._size):
            kind, first = unit[0] >> 1 & 63, len(unit) > 2 and unit[2] & 0x80
            if len(unit) < 2 or unit[0] & 1 or unit[1] >> 3:  # nuh_layer_id
                continue
            if kind in _SLICES and first:
                found.append(self._picture(unit, kind))
                self._ended = False
            elif kind in _ENDS:
                self._ended = True
            else:
                self._keep(unit)
        if len(found) != 1:
            raise NotUnderstood(f"{len(found)} pictures are in one packet")
        return found[0]

    def order(self, pictures: Sequence[Picture], first: int) -> list[Shown]:
        """Of each picture of a whole stream, when it is shown; where decoding begins, the pictures tell."""
        return list(order_counts(pictures))

    def _keep(self, unit: bytes) -> None:
        kind = unit[0] >> 1 & 63
        if kind == _SEQUENCE_SET:
            number, sequence = _read_sequence_set(BitReader(meaning(unit[2:])))
            self._sequences[number] = sequence
        elif kind == _PICTURE_SET:
            bits = BitReader(meaning(unit[2:], _HEADER_BYTES))
            number, sequence_number = bits.number(63), bits.number(15)
            bits.flag()  # dependent_slice_segments_enabled_flag
            self._pictures[number] = _PictureSet(sequence_number, bits.flag(), bits.bits(3))

    def _picture(self, unit: bytes, kind: int) -> Picture:
        """slice_segment_header (7.3.6.1), of the first segment of a picture."""
        bits = BitReader(meaning(unit[2:], _HEADER_BYTES))
        bits.flag()  # first_slice_segment_in_pic_flag
        drops = kind in _IRAP and bits.flag()
        own = self._pictures.get(bits.unsigned())
        sequence = self._sequences.get(own.sequence) if own else None
        if own is None or sequence is None:
            raise NotUnderstood("a slice refers to a parameter set that is not there")
        bits.bits(own.extra_bits)
        bits.unsigned()  # slice_type
        visible = bits.flag() if own.output_given else True
        if sequence.planes:
            bits.bits(2)
        low = 0 if kind in _IDR else bits.bits(sequence.low_bits)
        return Picture(kind, (unit[1] & 7) - 1, low, sequence.low_bits, visible, drops, self._ended)


def _read_sequence_set(bits: BitReader) -> tuple[int, _SequenceSet]:
    """seq_parameter_set_rbsp (7.3.2.2.1), down to the length of counts."""
    bits.bits(4)  # sps_video_parameter_set_id
    layers = bits.bits(3)
    bits.flag()  # sps_temporal_id_nesting_flag
    _skip_profile(bits, layers)
    number = bits.number(15)
    planes = bits.number(3) == 3 and bits.flag()
    bits.unsigned()  # width
    bits.unsigned()  # height
    if bits.flag():
        for _ in range(4):
            bits.unsigned()  # conf_win_left_offset and the others
    bits.unsigned()  # bit_depth_luma_minus8
    bits.unsigned()  # bit_depth_chroma_minus8
    return number, _SequenceSet(planes, bits.number(12) + 4)


def _skip_profile(bits: BitReader, layers: int) -> None:
    """profile_tier_level (7.3.3)."""
    profile, level = 88, 8
    bits.bits(profile + level)
    given = [(bits.flag(), bits.flag()) for _ in range(layers)]
    if layers:
        bits.bits(2 * (8 - layers))
    for has_profile, has_level in given:
        bits.bits(profile * has_profile + level * has_level)


def order_counts(pictures: Iterable[Picture]) -> Iterator[Shown]:
    """When each picture is shown (8.3.1): its count within the group that a picture with NoRaslOutputFlag begins.

    Pictures before the first of those cannot be decoded, nor can RASL pictures that follow one (8.1.3): they also refer
    to what is before it.

    Raises:
        NotUnderstood: pictures may be dropped.
    """
    group, high, low, whole = 0, 0, 0, False
    for picture in pictures:
        if picture.kind in _IRAP:
            begins = picture.kind != _CRA or picture.begins or not group
            if begins and group and (picture.drops or picture.kind == _CRA):  # C.5.2.2: a CRA drops in any case
                raise NotUnderstood("pictures that were not shown may be dropped")
            group, high, low = (group + 1, 0, picture.low) if begins else (group, high, low)
            whole = not begins
        own = _high(picture, high, low)
        if picture.layer == 0 and picture.kind not in _LEADING and picture.kind not in _SUB_LAYER:
            high, low = own, picture.low
        visible = picture.visible and group > 0 and (whole or picture.kind not in _RASL)
        yield Shown(group, own + picture.low, visible)


def _high(picture: Picture, high: int, low: int) -> int:
    """PicOrderCntMsb (8.3.1), given those of the last picture that is not left out of it."""
    most = 1 << picture.low_bits
    if low - picture.low >= most // 2:
        return high + most
    return high - most if picture.low - low > most // 2 else high
