"""Writes streams of one picture whose coding units are raw samples (PCM), which x265 does not make."""
import random

# Ranges of the less probable value, by the states that the one context has here (ITU-T H.265, table 9-52).
LPS = {
    7: (100, 122, 144, 166), 8: (95, 116, 137, 158), 9: (90, 110, 130, 150), 10: (85, 104, 123, 142), 11: (81, 99, 117, 135),
    12: (77, 94, 111, 128), 13: (73, 89, 105, 122),
}


class Bits:
    def __init__(self):
        self.text = []

    def u(self, count, value):
        self.text.append(format(value, f"0{count}b") if count else "")

    def ue(self, value):
        digits = format(value + 1, "b")
        self.text.append("0" * (len(digits) - 1) + digits)

    def align(self, first):
        text = "".join(self.text) + first
        self.text = [text + "0" * (-len(text) % 8)]

    def data(self):
        text = "".join(self.text)
        return bytes(int(text[i:i + 8], 2) for i in range(0, len(text), 8))


class Encoder:
    """Clause 9.3.4's inverse, with one context."""

    def __init__(self, bits, init, qp):
        self.bits = bits
        slope, offset = (init >> 4) * 5 - 45, ((init & 15) << 3) - 16
        state = min(max(1, (slope * qp >> 4) + offset), 126)
        self.likely = int(state > 63)
        self.state = state - 64 if self.likely else 63 - state
        self.start()

    def start(self):
        self.low, self.range, self.first, self.waiting = 0, 510, True, 0

    def put(self, bit):
        if not self.first:
            self.bits.u(1, bit)
        self.first = False
        for _ in range(self.waiting):
            self.bits.u(1, 1 - bit)
        self.waiting = 0

    def renormalize(self):
        while self.range < 256:
            if self.low < 256:
                self.put(0)
            elif self.low >= 512:
                self.low -= 512
                self.put(1)
            else:
                self.low -= 256
                self.waiting += 1
            self.range <<= 1
            self.low <<= 1

    def likely_value(self):
        """The more probable value."""
        self.range -= LPS[self.state][self.range >> 6 & 3]
        self.state = min(self.state + 1, 62)
        self.renormalize()

    def terminate(self, value):
        self.range -= 2
        if value:
            self.low += self.range
            self.range = 2
            self.renormalize()
            self.put(self.low >> 9 & 1)
            self.bits.u(2, self.low >> 7 & 3 | 1)
        else:
            self.renormalize()


def unit(kind, bits, trailing=True):
    if trailing:
        bits.align("1")
    out, zeros = bytearray(), 0
    for byte in bits.data():
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = 0 if byte else zeros + 1
    return b"\0\0\0\1" + bytes([kind << 1, 1]) + bytes(out)


def profile(bits):
    bits.u(8, 1)
    bits.u(32, 0x60000000)
    bits.u(4, 0b1001)
    bits.u(44, 0)
    bits.u(8, 30)


def stream(columns, rows, exact, depths):
    """Coding tree blocks of 16 x 16, each one raw unit of 4:2:0. `exact`: no filter changes them."""
    vps, sps, pps, bits = Bits(), Bits(), Bits(), Bits()
    for count, value in ((4, 0), (2, 3), (6, 0), (3, 0), (1, 1), (16, 0xffff)):
        vps.u(count, value)
    profile(vps)
    vps.u(1, 1)
    for value in (0, 0, 0):
        vps.ue(value)
    vps.u(6, 0)
    vps.ue(0)
    vps.u(2, 0)
    for count, value in ((4, 0), (3, 0), (1, 1)):
        sps.u(count, value)
    profile(sps)
    for value in (0, 1, 16 * columns, 16 * rows):
        sps.ue(value)
    sps.u(1, 0)
    for value in (0, 0, 0):
        sps.ue(value)
    sps.u(1, 1)
    # Buffering, then coding blocks of 16, transform blocks of 4 to 16, depths.
    for value in (0, 0, 0, 1, 0, 0, 2, 0, 0):
        sps.ue(value)
    # No lists, no asymmetric parts, no offsets; raw blocks of 16 x 16.
    sps.u(4, 0b0001)
    sps.u(4, depths[0] - 1)
    sps.u(4, depths[1] - 1)
    sps.ue(1)
    sps.ue(0)
    sps.u(1, int(exact))
    sps.ue(0)
    sps.u(5, 0)
    pps.ue(0)
    pps.ue(0)
    pps.u(7, 0)
    for value in (0, 0, 0):
        pps.ue(value)
    pps.u(3, 0)
    pps.ue(0)
    pps.ue(0)
    # No weights, tiles, wavefronts; filters over slices; no lists and extensions.
    pps.u(6, 0)
    pps.u(4, 0b1000)
    pps.ue(0)
    pps.u(2, 0)
    bits.u(2, 0b10)
    bits.ue(0)
    bits.ue(2)
    # The quantiser is 26 + 11.
    bits.ue(21)
    bits.u(1, 1)
    bits.align("1")
    encoder, source = Encoder(bits, 184, 37), random.Random(1)
    for block in range(columns * rows):
        encoder.likely_value()
        encoder.terminate(1)
        bits.align("")
        level = source.randrange(40, 80)
        for count, depth in ((256, depths[0]), (64, depths[1]), (64, depths[1])):
            for _ in range(count):
                bits.u(depth, (level + source.randrange(3)) * (1 << depth) >> 7)
        encoder.start()
        encoder.terminate(int(block == columns * rows - 1))
    # The last bit of the encoder is the one that ends the unit.
    bits.align("")
    return unit(32, vps) + unit(33, sps) + unit(34, pps) + unit(19, bits, False)
