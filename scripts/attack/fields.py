"""Locates the header fields of containers: sizes, counts, times, dimensions."""
from collections import namedtuple

Field = namedtuple("Field", "name offset size order")
# Of frequent chunks, boxes, packets and pages only the first ones are listed.
MOST = 40


def words(name, data, start, end, size=4, order="little", most=24):
    return [Field(f"{name} word {i}", at, size, order) for i, at in enumerate(range(start, end - size + 1, size)[:most])]


def riff(data, start=0, end=None, path="", found=None):
    """AVI: the size of every chunk, and the words of the headers and of the index."""
    found = [] if found is None else found
    end = len(data) if end is None else end
    while start + 8 <= end and len(found) < 400:
        kind = bytes(data[start : start + 4]).decode("latin-1")
        size = int.from_bytes(data[start + 4 : start + 8], "little")
        name = f"{path}{kind}"
        found.append(Field(f"{name} size", start + 4, 4, "little"))
        if kind in ("RIFF", "LIST"):
            riff(data, start + 12, min(start + 8 + size, end), f"{bytes(data[start + 8 : start + 12]).decode('latin-1')}/", found)
        elif kind in ("avih", "strh", "strf", "vprp", "indx"):
            found += words(name, data, start + 8, start + 8 + size)
        elif kind == "idx1":
            found += words(name, data, start + 8, start + 8 + min(size, 64))
        start += 8 + size + size % 2
    return found


BOXES = {"moov", "trak", "mdia", "minf", "stbl", "edts", "moof", "traf", "mvex", "udta"}


def boxes(data, start=0, end=None, path=""):
    """MP4 and MOV: the size of every box, and the words of boxes that contain no boxes."""
    found = []
    end = len(data) if end is None else end
    while start + 8 <= end and len(found) < 1000:
        size = int.from_bytes(data[start : start + 4], "big")
        kind = bytes(data[start + 4 : start + 8]).decode("latin-1")
        name = f"{path}{kind}"
        found.append(Field(f"{name} size", start, 4, "big"))
        stop = min(start + size, end) if size else end
        if kind in BOXES:
            found += boxes(data, start + 8, stop, f"{name}/")
        elif kind != "mdat":
            found += words(name, data, start + 8, stop, order="big", most=30)
        if size < 8:
            break
        start += size
    return found


MASTERS = {0x1A45DFA3, 0x18538067, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0xAE, 0xE0, 0xE1, 0x1C53BB6B, 0xBB, 0xB7, 0x1F43B675, 0xA0}
BLOCKS = {0xA3, 0xA1}


def ebml(data, start=0, end=None, path=""):
    """Matroska and WebM: the size of every element, the value of short ones, a block's track and time."""
    found, blocks = [], 0
    end = len(data) if end is None else end
    while start + 2 <= end:
        width = 9 - data[start].bit_length()
        kind = int.from_bytes(data[start : start + width], "big")
        at = start + width
        if width > 4 or at >= end or not data[at]:
            break
        span = 9 - data[at].bit_length()
        size = int.from_bytes(data[at : at + span], "big") & ((1 << (7 * span)) - 1)
        body = at + span
        stop = end if size == (1 << (7 * span)) - 1 else min(body + size, end)
        name = f"{path}{kind:X}"
        blocks += kind in BLOCKS
        if blocks < 5:
            found.append(Field(f"{name} size", at, span, "big"))
        if kind in MASTERS:
            found += ebml(data, body, stop, f"{name}/")
        elif kind in BLOCKS and blocks < 5:
            found += [Field(f"{name} track", body, 1, "big"), Field(f"{name} time", body + 1, 2, "big")]
        elif kind not in BLOCKS and 0 < size <= 8:
            found.append(Field(name, body, size, "big"))
        start = stop
    return found


def transport(data):
    """MPEG-TS: identifiers, adaptation fields with their clock, the tables' lengths, the pictures' times."""
    found = []
    for number, at in enumerate(range(0, len(data) - 187, 188)):
        if number > 400:
            break
        if number < 5:
            found += [Field(f"packet {number} identifier", at + 1, 2, "big"), Field(f"packet {number} flags", at + 3, 1, "big")]
        payload = at + 4
        if data[at + 3] & 0x20:
            length = data[at + 4]
            payload += 1 + length
            if length > 7 and data[at + 5] & 0x10:
                found += [Field(f"packet {number} adaptation length", at + 4, 1, "big"), Field(f"packet {number} clock", at + 6, 6, "big")]
        if data[at + 1] & 0x40 and data[at + 3] & 0x10 and payload + 20 < at + 188:
            if bytes(data[payload : payload + 3]) == b"\0\0\1":
                found += [Field(f"packet {number} length", payload + 4, 2, "big"), Field(f"packet {number} header", payload + 6, 3, "big")]
                found.append(Field(f"packet {number} time", payload + 9, 5, "big"))
            elif number < 20:
                found.append(Field(f"packet {number} table length", payload + 2, 2, "big"))
                found += words(f"packet {number} table", data, payload + 4, payload + 20, 2, "big", 8)
    return found


def program_stream(data):
    """MPEG-PS: clocks, packets' lengths and times, and the pictures' sizes in sequence headers."""
    found, at = [], data.find(b"\0\0\1")
    while at >= 0 and at + 16 < len(data) and len(found) < 400:
        kind = data[at + 3]
        if kind == 0xBA:
            found += [Field(f"pack at {at} clock", at + 4, 6, "big"), Field(f"pack at {at} rate", at + 10, 3, "big")]
        elif kind == 0xB3:
            found += [Field(f"sequence at {at} size", at + 4, 3, "big"), Field(f"sequence at {at} rate", at + 7, 1, "big")]
        elif kind in (0xBB, 0xE0, 0xC0):
            found += [Field(f"packet at {at} length", at + 4, 2, "big"), Field(f"packet at {at} header", at + 6, 3, "big")]
            found.append(Field(f"packet at {at} time", at + 9, 5, "big"))
        at = data.find(b"\0\0\1", at + 4)
    return found


def flv(data):
    """FLV: tags' sizes, times and kinds, and the numbers of the first one, which describes the clip."""
    found, at = [Field("header flags", 4, 1, "big"), Field("header length", 5, 4, "big")], 13
    for number in range(MOST):
        if at + 16 > len(data):
            break
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        found += [Field(f"tag {number} {what}", at + off, length, "big") for what, off, length in (("kind", 0, 1), ("size", 1, 3), ("time", 4, 4), ("codec", 11, 2))]
        if number == 0:
            found += words("description", data, at + 11, at + 11 + size, 4, "big", 60)
        at += 15 + size
    return found


def ogg(data):
    """Ogg: pages' places, serials, numbers and segments, and the words of the codecs' headers."""
    found, at = [], 0
    for number in range(MOST):
        at = data.find(b"OggS", at)
        if at < 0 or at + 60 > len(data):
            break
        parts = (("flags", 5, 1), ("granule", 6, 8), ("serial", 14, 4), ("sequence", 18, 4), ("segments", 26, 1), ("first segment", 27, 1))
        found += [Field(f"page {number} {what}", at + off, length, "little") for what, off, length in parts]
        if number < 2:
            found += words(f"page {number}", data, at + 28, at + 70, 2, "big")
        at += 27
    return found


def asf(data):
    """ASF: the size of every object of the header, its words, and the first packets' heads."""
    size = int.from_bytes(data[16:24], "little")
    found = [Field("header size", 16, 8, "little"), Field("header count", 24, 4, "little")]
    at, number = 30, 0
    while at + 24 <= min(size, len(data)):
        length = int.from_bytes(data[at + 16 : at + 24], "little")
        found.append(Field(f"object {number} size", at + 16, 8, "little"))
        found += words(f"object {number}", data, at + 24, min(at + length, len(data)), most=28)
        if length < 24:
            break
        at, number = at + length, number + 1
    found += [Field("data size", size + 16, 8, "little"), Field("data packets", size + 40, 8, "little")]
    return found + words("first packet", data, size + 50, size + 80, 1)


READERS = {
    "avi": riff, "mp4": boxes, "mov": boxes, "3gp": boxes, "mkv": ebml, "webm": ebml, "ts": transport, "mpg": program_stream, "flv": flv,
    "ogv": ogg, "wmv": asf,
}  # fmt: skip


def of(container, data):
    """Returns all known fields within the bytes."""
    return [field for field in READERS[container](data) if field.offset + field.size <= len(data)]


def crc(page):
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
    return value


def sealed(container, data):
    """Returns the bytes with valid Ogg checksums, so that a reader parses the fields."""
    if container != "ogv":
        return data
    at = data.find(b"OggS")
    while at >= 0 and at + 27 <= len(data):
        after = data.find(b"OggS", at + 4)
        end = len(data) if after < 0 else after
        page = bytearray(data[at:end])
        page[22:26] = bytes(4)
        data[at + 22 : at + 26] = crc(page).to_bytes(4, "little")
        at = after
    return data
