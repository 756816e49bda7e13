"""Says everything that a terminal might obey, on both streams and in whatever else a child can say.

Every sequence carries the number 7331 where it can carry one, so that it is known again wherever it comes out. Lines are
numbered, a few sequences on each.
"""
import os

import childminder

MARK = b"7331"
ST, BEL = b"\x1b\\", b"\x07"


def finals():
    for final in range(0x40, 0x7F):
        end = bytes([final])
        for begin in (b"\x1b[", b"\x9b", b"\xc2\x9b"):
            yield begin + MARK + end
        for private in b"?><=":
            yield b"\x1b[" + bytes([private]) + MARK + end
        for between in b" !\"$'":
            yield b"\x1b[" + MARK + bytes([between]) + end
        yield b"\x1b[" + MARK + b";1;2:3" + end
        if end != b"m":
            yield b"\x1b[" + end


def strings():
    """OSC, DCS, APC, PM and SOS, in seven and eight bits, with either end, cut off and never ended."""
    for number in list(range(121)) + [133, 633, 697, 777, 1337, 9001]:
        yield b"\x1b]%d;%s" % (number, MARK) + (BEL if number % 2 else ST)
    clipboard = b"52;c;NzMzMQ=="
    for body in (clipboard, b"52;c;?", b"8;;http://7331.invalid/" + ST + b"x\x1b]8;;", b"0;" + MARK, b"4;7331;?", b"1337;File=inline=1:Nzk="):
        for begin in (b"\x1b]", b"\x9d", b"\xc2\x9d"):
            for end in (BEL, ST, b"\x9c", b"\xc2\x9c", b"\x18", b"\x1a", b""):
                yield begin + body + end
    for seven, eight in ((b"P", 0x90), (b"_", 0x9F), (b"^", 0x9E), (b"X", 0x98)):
        for begin in (b"\x1b" + seven, bytes([eight]), b"\xc2" + bytes([eight])):
            for body in (b"q#0;2;0;0;0" + MARK, b"$q" + MARK, b"+q" + MARK, b"Gf=7331;AAAA", b"tmux;\x1b\x1b[7331X"):
                for end in (ST, BEL, b"\x9c", b""):
                    yield begin + body + end


def controls():
    for byte in list(range(0x20)) + [0x7F]:
        if byte not in (0x0A, 0x0D):
            yield b"c0 " + bytes([byte]) + MARK
    for byte in range(0x80, 0xA0):
        yield b"c1 " + bytes([byte]) + MARK
        yield b"c1 \xc2" + bytes([byte]) + MARK
    for byte in range(0x20, 0x7F):
        yield b"\x1b" + bytes([byte]) + MARK
        yield b"\x1b(" + bytes([byte]) + b"\x1b#" + bytes([byte]) + b"\x1b%" + bytes([byte])


def invisible():
    for first, last in (
        (0xAD, 0xAD), (0x61C, 0x61C), (0x180E, 0x180E), (0x200B, 0x200F), (0x2028, 0x202E), (0x2060, 0x206F),
        (0xFEFF, 0xFEFF), (0xFFF9, 0xFFFB), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE007F),
    ):  # fmt: skip
        for code in range(first, last + 1):
            yield ("u%x " % code).encode() + chr(code).encode("utf-8") + MARK
    for wrong in (b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xc0\x9b7331m", b"\xe0\x80\x9b7331m"):
        yield b"not utf-8 " + wrong


def everything():
    return list(finals()) + list(strings()) + list(controls()) + list(invisible())


def lines(each=4):
    """All of it in numbered lines; the last one is called so."""
    all_of_it = everything()
    groups = [all_of_it[first : first + each] for first in range(0, len(all_of_it), each)]
    # What swallows the rest of a line comes where nothing follows, and where something does.
    numbered = [b"row%04d " % number + b" ".join(group) for number, group in enumerate(groups, 1)]
    # A carriage return leaves only what comes after it.
    return numbered + [b"overwritten\rrow%04d is the last" % (len(groups) + 1)]


def prints():
    for stream in (1, 2):
        data = b"\n".join(lines()) + b"\n"
        while data:
            data = data[os.write(stream, data) :]
    # Left open, so that whatever comes next on a terminal would be taken for more of it.
    os.write(1, b"\x1b]0;7331")
    os.write(2, b"\x1bP7331")


def as_text():
    """What fits into Python's own strings: bytes that are no UTF-8 as Latin-1 has them, so that C1 is among it."""
    return "|".join(one.decode("utf-8" if b"\xc2" in one else "latin-1", "ignore") for one in everything())


class Value:
    def __repr__(self):
        return "value " + as_text()


class Hostile(Exception):
    pass


Hostile.__name__ = "Hostile\x1b]0;7331\x07"
Hostile.__qualname__ = Hostile.__name__


def raises():
    local = Value()
    raise Hostile("message " + as_text()) from ValueError("cause", local)


def tells():
    text = as_text()
    childminder.status("status " + text)
    childminder.output("/tmp/7331" + text[:2000])
    childminder.progress(0.5)
    childminder.fail("fails " + text)
