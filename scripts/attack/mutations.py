"""Ways to damage a clip's bytes. Each takes a random generator, the bytes, and another clip's, and describes its change."""
import fields

SLOTS = [
    "bits", "field", "cut", "zeroed", "field", "duplicated", "fields", "head bits", "field", "swapped",
    "deleted", "field", "garbage", "concatenated", "field", "many bits", "spliced", "fields", "beheaded", "ones",
]  # fmt: skip
EXTREMES = ("0", "1", "all ones", "half", "half + 1", "+ 1", "- 1", "× 2", "× 1000", "65536", "random")
HEAD = 4096


def mutate(random, kind, data, other, container):
    """Returns the mutant, and a description of the change."""
    return KINDS[kind](random, bytearray(data), other, container)


def block(random, data, longest=0.25):
    start = random.randrange(len(data))
    length = min(1 + int(len(data) * longest * random.random() ** 3), len(data) - start)
    return start, start + length


def flip(random, data, count, end):
    for _ in range(count):
        data[random.randrange(end)] ^= 1 << random.randrange(8)
    return data, f"{count} bits flipped in the first {end} bytes"


def bits(random, data, other, container):
    return flip(random, data, random.choice((1, 4, 16, 64)), len(data))


def many_bits(random, data, other, container):
    return flip(random, data, random.choice((256, 1024, 4096)), len(data))


def head_bits(random, data, other, container):
    return flip(random, data, random.choice((1, 8, 64)), min(HEAD, len(data)))


def filled(value):
    def fill(random, data, other, container):
        start, end = block(random, data)
        data[start:end] = bytes([value]) * (end - start)
        return data, f"bytes {start} to {end} set to {value}"

    return fill


def cut(random, data, other, container):
    end = random.randrange(len(data))
    return data[:end], f"cut short to {end} bytes"


def beheaded(random, data, other, container):
    start, end = block(random, data, 0.1)
    return data[end - start :], f"the first {end - start} bytes deleted"


def duplicated(random, data, other, container):
    start, end = block(random, data)
    times = random.choice((1, 1, 3, 50))
    return data[:end] + data[start:end] * times + data[end:], f"bytes {start} to {end} {times} times more"


def swapped(random, data, other, container):
    length = block(random, data, 0.2)
    length = length[1] - length[0]
    first = random.randrange(len(data) - 2 * length)
    second = random.randrange(first + length, len(data) - length + 1)
    a, b = data[first : first + length], data[second : second + length]
    data[first : first + length], data[second : second + length] = b, a
    return data, f"{length} bytes at {first} and {second} swapped"


def deleted(random, data, other, container):
    start, end = block(random, data)
    return data[:start] + data[end:], f"bytes {start} to {end} deleted"


def garbage(random, data, other, container):
    place, length = random.randrange(len(data)), random.choice((1, 3, 188, 5000, 100_000))
    return data[:place] + random.randbytes(length) + data[place:], f"{length} bytes of garbage inserted at {place}"


def concatenated(random, data, other, container):
    end = random.choice((len(data), random.randrange(len(data))))
    return data[:end] + other, f"another container behind the first {end} bytes"


def spliced(random, data, other, container):
    end = min(random.choice((64, 512, 4096, len(data) // 2)), len(data))
    return data[:end] + other[end:], f"the first {end} bytes before the rest of another container"


def extreme(random, old, bits):
    """Returns a name and a value that fits a field of this many bits."""
    name, top = random.choice(EXTREMES), (1 << bits) - 1
    values = {"0": 0, "1": 1, "all ones": top, "half": top >> 1, "half + 1": (top >> 1) + 1, "65536": 1 << 16}
    values |= {"+ 1": old + 1, "- 1": old - 1, "× 2": old * 2, "× 1000": old * 1000, "random": random.getrandbits(bits)}
    return name, values[name] & top


def field(random, data, other, container, count=1):
    known = fields.of(container, data)
    done = []
    for _ in range(count):
        which = random.choice(known)
        span = slice(which.offset, which.offset + which.size)
        old = int.from_bytes(data[span], which.order)
        name, value = extreme(random, old, 8 * which.size)
        data[span] = value.to_bytes(which.size, which.order)
        done.append(f"{which.name} {name} ({old} to {value})")
    return fields.sealed(container, data), ", ".join(done)


def several_fields(random, data, other, container):
    return field(random, data, other, container, random.randint(2, 6))


KINDS = {
    "bits": bits, "many bits": many_bits, "head bits": head_bits, "zeroed": filled(0), "ones": filled(255), "cut": cut,
    "beheaded": beheaded, "duplicated": duplicated, "swapped": swapped, "deleted": deleted, "garbage": garbage,
    "concatenated": concatenated, "spliced": spliced, "field": field, "fields": several_fields,
}  # fmt: skip
