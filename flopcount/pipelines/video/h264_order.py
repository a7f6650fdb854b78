"""When H.264 pictures are shown, from the headers of their slices.

Sources: ISO/IEC 14496-10 (H.264) clauses 7.3.3, slice_header, with 7.3.3.1 to 7.3.3.3, and 8.2.1, picture order counts.
Not read: pictures that are fields, and memory_management_control_operation 5, at which a new count begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .bit_reader import BitReader, NotUnderstood
from .h264_sets import PictureSet, SequenceSet, read_picture_set, read_sequence_set
from .nal_units import length_size, meaning, stored_sets, units
from .shown import Shown

__all__ = ["H264Headers", "Picture", "order_counts"]

_SLICE, _SLICE_A, _IDR, _SEQUENCE_SET, _PICTURE_SET = 1, 2, 5, 7, 8
_HEADER_BYTES = 1024
"""Of a slice, which has its header in them: the longest table of weights is half as long."""
_P, _B, _I, _SP, _SI = range(5)


@dataclass(frozen=True, slots=True)
class Picture:
    """What the first slice of a picture says.

    Arguments:
        sequence: of the stream.
        idr: whether counts begin anew with it.
        referred: whether others refer to it.
        number: frame_num.
        low: pic_order_cnt_lsb, of kind 0.
        deltas: delta_pic_order_cnt_bottom and 0, of kind 0; both delta_pic_order_cnt, of kind 1.
        drops: no_output_of_prior_pics_flag, whether pictures before it may never be shown.
        refers: whether the slice refers to other pictures.
    """

    sequence: SequenceSet
    idr: bool
    referred: bool
    number: int
    low: int = 0
    deltas: tuple[int, int] = (0, 0)
    drops: bool = False
    refers: bool = False


class H264Headers:
    """Reads the pictures of a stream, packet by packet; parameter sets are kept as they come."""

    def __init__(self, extradata: bytes) -> None:
        self._sequences: dict[int, SequenceSet] = {}
        self._pictures: dict[int, PictureSet] = {}
        self._size = length_size("h264", extradata)
        for unit in stored_sets("h264", extradata):
            self._keep(unit)

    def read(self, packet: bytes) -> Picture:
        """The picture of a packet.

        Raises:
            NotUnderstood: there is none, or not one alone, or something in it is not read here.
        """
        found: list[Picture] = []
        for unit in units(packet, self._size):
            kind = unit[0] & 31
            if kind == _SLICE_A:
                raise NotUnderstood("slices in parts are not read")
            if kind not in (_SLICE, _IDR):
                self._keep(unit)
            elif not found:
                found.append(self._picture(unit))
            elif not BitReader(meaning(unit[1:], 8)).unsigned():
                raise NotUnderstood("two pictures are in one packet")
        if not found:
            raise NotUnderstood("no picture is in a packet")
        return found[0]

    def order(self, pictures: Sequence[Picture], first: int) -> list[Shown]:
        """Of each picture of a whole stream, when it is shown; decoding begins at that with the number `first`."""
        shown = list(order_counts(pictures))
        if pictures[first].idr:
            return shown
        if pictures[first].refers:
            raise NotUnderstood("decoding begins with a picture that needs others, and is right only later")
        return [
            one._replace(
                visible=place <= first or one[:2] >= shown[first][:2]
            )  # else it needs what is before the first, too
            for place, one in enumerate(shown)
        ]

    def _keep(self, unit: bytes) -> None:
        kind = unit[0] & 31
        if kind == _SEQUENCE_SET:
            number, sequence = read_sequence_set(BitReader(meaning(unit[1:])))
            self._sequences[number] = sequence
        elif kind == _PICTURE_SET:
            number, picture = read_picture_set(BitReader(meaning(unit[1:])))
            self._pictures[number] = picture

    def _picture(self, unit: bytes) -> Picture:
        bits = BitReader(meaning(unit[1:], _HEADER_BYTES))
        bits.unsigned()  # first_mb_in_slice
        kind = bits.number(9) % 5
        own = self._pictures.get(bits.unsigned())
        sequence = self._sequences.get(own.sequence) if own else None
        if own is None or sequence is None:
            raise NotUnderstood("a slice refers to a parameter set that is not there")
        return _slice_header(bits, unit[0], kind, own, sequence)


def _slice_header(bits: BitReader, head: int, kind: int, own: PictureSet, sequence: SequenceSet) -> Picture:
    """slice_header (7.3.3), from colour_plane_id on."""
    idr, referred = head & 31 == _IDR, bool(head & 0x60)
    if sequence.planes:
        bits.bits(2)
    number = bits.bits(sequence.number_bits)
    if not sequence.frames_only and bits.flag():
        raise NotUnderstood("fields are not read")
    if idr:
        bits.unsigned()  # idr_pic_id
    low, deltas = 0, (0, 0)
    if sequence.kind == 0:
        low = bits.bits(sequence.low_bits)
        deltas = (bits.signed() if own.bottom_given else 0), 0
    elif sequence.kind == 1 and not sequence.no_deltas:
        deltas = bits.signed(), (bits.signed() if own.bottom_given else 0)
    drops = referred and _marking(bits, kind, idr, own, sequence)
    return Picture(sequence, idr, referred, number, low, deltas, drops, kind not in (_I, _SI))


def _marking(bits: BitReader, kind: int, idr: bool, own: PictureSet, sequence: SequenceSet) -> bool:
    """The rest of a slice's header down to dec_ref_pic_marking (7.3.3.3): no_output_of_prior_pics_flag.

    Raises:
        NotUnderstood: it has memory_management_control_operation 5.
    """
    if own.redundant and bits.unsigned():
        raise NotUnderstood("a redundant slice is the first")
    if kind == _B:
        bits.flag()  # direct_spatial_mv_pred_flag
    lists = {_P: 1, _SP: 1, _B: 2}.get(kind, 0)
    references = own.references
    if lists and bits.flag():
        references = bits.number(31) + 1, (bits.number(31) + 1 if lists == 2 else 0)
    for _ in range(lists):
        _skip_modification(bits)
    if own.weighted_b if kind == _B else lists and own.weighted:
        _skip_weights(bits, references[:lists], sequence.chroma)
    if idr:
        return bits.flag()
    if bits.flag():
        _skip_operations(bits)
    return False


def _skip_modification(bits: BitReader) -> None:
    """One list of ref_pic_list_modification (7.3.3.1)."""
    if bits.flag():
        while bits.number(3) != 3:
            bits.unsigned()


def _skip_weights(bits: BitReader, references: tuple[int, ...], chroma: int) -> None:
    """pred_weight_table (7.3.3.2)."""
    bits.unsigned()
    if chroma:
        bits.unsigned()
    for _ in range(sum(references)):
        for colours in (1, 2) if chroma else (1,):
            if bits.flag():
                for _ in range(2 * colours):
                    bits.signed()


def _skip_operations(bits: BitReader) -> None:
    """The operations of dec_ref_pic_marking (7.3.3.3)."""
    while operation := bits.number(6):
        if operation == 5:
            raise NotUnderstood("counts that begin anew within a picture are not read")
        for _ in range(2 if operation == 3 else 1):
            bits.unsigned()


def order_counts(pictures: Iterable[Picture]) -> Iterator[Shown]:
    """When each picture is shown (8.2.1): its count within the group that an IDR picture begins.

    Raises:
        NotUnderstood: pictures may be dropped.
    """
    group, high, low = 0, 0, 0  # of the last picture that others refer to
    number, offset = 0, 0  # of the last picture
    for place, picture in enumerate(pictures):
        if picture.idr:
            group, high, low, number, offset = group + 1, 0, 0, 0, 0
            if picture.drops and place:
                raise NotUnderstood("pictures that were not shown may be dropped")
        if picture.sequence.kind == 0:
            own = _high(picture, high, low)
            if picture.referred:
                high, low = own, picture.low
            yield Shown(group, own + picture.low + min(picture.deltas[0], 0), no_start=picture.refers)
            continue
        if number > picture.number:  # FrameNumOffset (8.2.1.2)
            offset += 1 << picture.sequence.number_bits
        number = picture.number
        count = _count_1(picture, offset) if picture.sequence.kind == 1 else _count_2(picture, offset)
        yield Shown(group, count, no_start=picture.refers)


def _high(picture: Picture, high: int, low: int) -> int:
    """PicOrderCntMsb (8.2.1.1), given those of the last picture that others refer to."""
    most = 1 << picture.sequence.low_bits
    if low - picture.low >= most // 2:
        return high + most
    return high - most if picture.low - low > most // 2 else high


def _count_1(picture: Picture, offset: int) -> int:
    """Of kind 1 (8.2.1.2): a cycle of steps from one referred frame to the next."""
    sequence, cycle = picture.sequence, picture.sequence.cycle
    number = offset + picture.number if cycle else 0
    if number and not picture.referred:
        number -= 1
    count = 0
    if number:
        whole, rest = divmod(number - 1, len(cycle))
        count = whole * sum(cycle) + sum(cycle[: rest + 1])
    top = count + (0 if picture.referred else sequence.unreferred) + picture.deltas[0]
    return min(top, top + sequence.bottom + picture.deltas[1])


def _count_2(picture: Picture, offset: int) -> int:
    """Of kind 2 (8.2.1.3): as they are stored."""
    return 2 * (offset + picture.number) - (not picture.referred)
