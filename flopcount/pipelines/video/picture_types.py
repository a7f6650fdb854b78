"""When pictures are shown that say only of which type they are: those of MPEG-1, MPEG-2 and MPEG-4 part 2.

A picture of type B is shown at once. Each other waits until the next other is stored, and is shown then.

Sources: ISO/IEC 13818-2 (MPEG-2) clauses 6.1.1.11, frame reordering, 6.2.2.6, group_of_pictures_header, and 6.2.3,
picture_header, which ISO/IEC 11172-2 (MPEG-1) has too; ISO/IEC 14496-2 (MPEG-4 Visual) clauses 6.2.3,
VideoObjectLayer, and 6.2.5, VideoObjectPlane. DivX puts a B-VOP into the packet before its own, whose place a VOP that
is not coded takes; what tells such a stream is in its user data. ffmpeg's filter mpeg4_unpack_bframes undoes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .bit_reader import BitReader, NotUnderstood
from .shown import Shown

__all__ = ["Mpeg2Headers", "Mpeg4Headers", "Picture", "order_of_types"]

_PICTURE, _GROUP, _EXTENSION = b"\x00\x00\x01\x00", b"\x00\x00\x01\xb8", b"\x00\x00\x01\xb5"
_CODING_EXTENSION = 8
_MPEG2_TYPES = {1: "I", 2: "P", 3: "B"}
_FRAME = 3

_VOP = b"\x00\x00\x01\xb6"
_LAYER = re.compile(rb"\x00\x00\x01[\x20-\x2f]")
_PACKED = re.compile(rb"DivX\d+(?:b|Build)\d+p")
_MPEG4_TYPES = ("I", "P", "B", "S")
_VOP_HEADER_BYTES = 16
_LAYER_BYTES = 32


@dataclass(frozen=True, slots=True)
class Picture:
    """What the header of a picture says.

    Arguments:
        type: "I", "P", "B" or "S"; "" of one that is not coded.
        closed: whether B-pictures before the next other refer to nothing before this.
        shared: whether its packet holds a B-VOP, too, that is shown before it where decoding can begin at it.
    """

    type: str
    closed: bool = False
    shared: bool = False


def order_of_types(pictures: Sequence[Picture], first: int = 0) -> list[Shown]:
    """When each picture of a whole stream is shown, whose decoding begins at that with the number `first`.

    B-pictures before which no two others are stored lack what they refer to, unless the first is `closed`.

    Raises:
        NotUnderstood: a B-picture follows one that is not coded, which may be what it refers to, or not; or decoding
            begins where it would lose a B-VOP.
    """
    if pictures[first].shared:
        raise NotUnderstood("the B-VOP of the first packet cannot be decoded, which decoders do not expect")
    if any(picture.type == "B" and not before.type for before, picture in pairwise(pictures)):
        raise NotUnderstood("B-pictures refer to one that is not coded")
    order: list[int] = []
    waiting: int | None = None
    for place, picture in enumerate(pictures):
        if picture.type == "B":
            order.append(place)
            continue
        if waiting is not None:
            order.append(waiting)
        waiting = place
    order.extend([] if waiting is None else [waiting])
    visible = [False] * first + list(_visible(pictures[first:]))
    counts = {place: count for count, place in enumerate(order)}
    return [Shown(0, counts[place], visible[place], no_start=picture.shared) for place, picture in enumerate(pictures)]


def _visible(pictures: Sequence[Picture]) -> Iterator[bool]:
    others, closed = 0, False
    for picture in pictures:
        if picture.type == "B":
            yield others > 1 or (others == 1 and closed)
            continue
        others += picture.type != ""
        closed = picture.closed
        yield picture.type != ""


class Mpeg2Headers:
    """Reads the pictures of a stream of MPEG-1 or MPEG-2, packet by packet."""

    def read(self, packet: bytes) -> Picture:
        """The picture of a packet, which may be of two fields.

        Raises:
            NotUnderstood: there is none, or not one alone, or something in it is not read here.
        """
        begins = list(_found(packet, _PICTURE))
        fields = [_structure(packet, at) != _FRAME for at in begins]
        if fields not in ([False], [True, True]):
            raise NotUnderstood("not one picture is in a packet")
        bits = BitReader(packet[begins[0] + 4 : begins[0] + 8])
        bits.bits(10)  # temporal_reference
        type = _MPEG2_TYPES.get(bits.bits(3))
        if type is None:
            raise NotUnderstood("a picture is of an unknown type")
        group = packet.rfind(_GROUP, 0, begins[0])
        return Picture(type, 0 <= group < len(packet) - 7 and bool(packet[group + 7] & 0x40))  # closed_gop

    def order(self, pictures: Sequence[Picture], first: int) -> list[Shown]:
        """Of each picture of a whole stream, when it is shown; decoding begins at that with the number `first`."""
        return order_of_types(pictures, first)


def _found(data: bytes, code: bytes) -> Iterator[int]:
    at = data.find(code)
    while at >= 0:
        yield at
        at = data.find(code, at + len(code))


def _structure(data: bytes, at: int) -> int:
    """picture_structure of picture_coding_extension (6.2.3.1), which stands right after the header of a picture."""
    extension = data.find(_EXTENSION, at, at + 64)
    if extension < 0 or len(data) < extension + 7 or data[extension + 4] >> 4 != _CODING_EXTENSION:
        return _FRAME  # MPEG-1 has no fields
    return data[extension + 6] & 3


class Mpeg4Headers:
    """Reads the pictures of a stream of MPEG-4 part 2, packet by packet."""

    def __init__(self, extradata: bytes) -> None:
        self._time_bits = 0
        self._packed = False
        self._early = False  # whether the packet before this held the B-VOP of this, too
        self._keep(extradata)

    def read(self, packet: bytes) -> Picture:
        """The picture that a decoder makes of a packet.

        Raises:
            NotUnderstood: there is none, or several in another way than that of DivX.
        """
        begins = list(_found(packet, _VOP))
        self._keep(packet[: begins[0]] if begins else b"")
        types = tuple(self._type(packet[at + 4 : at + 4 + _VOP_HEADER_BYTES]) for at in begins)
        if self._early:
            if types not in (("",), ("B",)):
                raise NotUnderstood("the place of a B-VOP is taken")
            self._early = types == ("B",)
            return Picture("B")
        if self._packed and types == ("",):
            raise NotUnderstood("a B-VOP is not in the packet before its own")
        self._early = self._packed and len(types) == 2 and types[0] != "" and types[1] == "B"
        if len(types) != 1 and not self._early:
            raise NotUnderstood(f"{len(types)} pictures are in one packet")
        return Picture(types[0], shared=self._early)

    def order(self, pictures: Sequence[Picture], first: int) -> list[Shown]:
        """Of each picture of a whole stream, when it is shown; decoding begins at that with the number `first`."""
        return order_of_types(pictures, first)

    def _keep(self, headers: bytes) -> None:
        self._packed = self._packed or _PACKED.search(headers) is not None
        if layer := _LAYER.search(headers):
            self._time_bits = _time_bits(BitReader(headers[layer.end() : layer.end() + _LAYER_BYTES]))

    def _type(self, header: bytes) -> str:
        """VideoObjectPlane, down to vop_coded."""
        if not self._time_bits:
            raise NotUnderstood("no layer is described before a picture")
        bits = BitReader(header)
        type = _MPEG4_TYPES[bits.bits(2)]
        while bits.flag():  # modulo_time_base
            pass
        bits.bits(1 + self._time_bits + 1)
        return type if bits.flag() else ""


def _time_bits(bits: BitReader) -> int:
    """VideoObjectLayer (6.2.3), down to vop_time_increment_resolution: the length of vop_time_increment."""
    bits.bits(1 + 8)  # random_accessible_vol, video_object_type_indication
    if bits.flag():
        bits.bits(4 + 3)  # video_object_layer_verid and its priority
    if bits.bits(4) == 15:
        bits.bits(8 + 8)  # par_width, par_height
    if bits.flag():
        bits.bits(2 + 1)  # chroma_format, low_delay
        if bits.flag():
            bits.bits(79)  # of the buffer of a decoder
    if bits.bits(2):
        raise NotUnderstood("pictures that are not rectangles are not read")
    bits.bits(1)
    return max((bits.bits(16) - 1).bit_length(), 1)
