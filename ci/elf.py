"""Reads a 32-bit ELF image, as far as the scripts here need it."""
import bisect
import re
import shutil
import struct
import subprocess
from typing import NamedTuple

PROGBITS, SYMTAB, RELA, NOBITS, REL = 1, 2, 4, 8, 9
WRITABLE, ALLOCATED, EXECUTABLE = 1, 2, 4


class Section(NamedTuple):
    name: str
    kind: int
    flags: int
    address: int
    size: int
    data: bytes  # none where it is NOBITS
    link: int
    info: int


class Symbol(NamedTuple):
    name: str
    value: int  # of a function: with the bit that says Thumb
    size: int
    kind: int  # 2: a function
    section: int


class Image:
    def __init__(self, path):
        with open(path, "rb") as file:
            image = file.read()
        offset, = struct.unpack_from("<I", image, 0x20)
        size, count, names = struct.unpack_from("<HHH", image, 0x2E)
        headers = [struct.unpack_from("<10I", image, offset + index * size) for index in range(count)]
        names = headers[names][4]
        self.sections = []
        for name, kind, flags, address, start, length, link, info, _, _ in headers:
            data = b"" if kind == NOBITS else image[start:start + length]
            self.sections.append(Section(text(image, names + name), kind, flags, address, length, data, link, info))
        table = next(section for section in self.sections if section.kind == SYMTAB)
        strings = self.sections[table.link].data
        self.symbols = []
        for at in range(0, table.size, 16):
            name, value, length, info, _, section = struct.unpack_from("<IIIBBH", table.data, at)
            self.symbols.append(Symbol(text(strings, name), value, length, info & 15, section))

    def section(self, name):
        """Its bytes."""
        return next(section.data for section in self.sections if section.name == name)

    def address(self, name):
        """Of a symbol; `None`: it is not there."""
        return next((symbol.value for symbol in self.symbols if symbol.name == name), None)

    def totals(self):
        """Bytes of flash and of static RAM; initialised data take both."""
        flash = ram = 0
        for section in self.sections:
            # The numbers for tables, and what would unwind the stack, are not in a real image.
            if not section.flags & ALLOCATED or section.name.startswith((".sizes", ".ARM.exidx", ".eh_frame", ".stack_sizes")):
                continue
            if section.kind != NOBITS:
                flash += section.size
            if section.flags & WRITABLE:
                ram += section.size
        return flash, ram

    def places(self):
        """Each `core::panic::Location` in the image: file, line, column."""
        loaded = [(section.address, section.data) for section in self.sections if section.address]

        def name(pointer, length):
            for address, data in loaded:
                if address <= pointer and pointer + length <= address + len(data):
                    # A newer compiler ends the text with a zero and does not count it.
                    return next((text for extra in (0, 1) if (text := data[pointer - address:pointer - address + length + extra].rstrip(
                        b"\0"))[-3:] == b".rs"), None)
            return None

        found = set()
        for _, data in loaded:
            for at in range(0, len(data) - 15, 4):
                pointer, length, line, column = struct.unpack_from("<4I", data, at)
                if 3 < length < 300 and line and column and (file := name(pointer, length)):
                    found.add((file.decode(), line, column))
        return sorted(found)

    def references(self):
        """Which function refers to which, and by what kind of relocation; of an image linked with `--emit-relocs`."""
        functions = sorted((symbol.value & ~1, symbol.size, symbol.name) for symbol in self.symbols if symbol.kind == 2 and symbol.size)
        starts = [start for start, _, _ in functions]
        for section in self.sections:
            if section.kind not in (REL, RELA):
                continue
            for at in range(0, section.size, 8 if section.kind == REL else 12):
                offset, info = struct.unpack_from("<II", section.data, at)
                callee = self.symbols[info >> 8]
                place = bisect.bisect_right(starts, offset) - 1
                if callee.kind == 2 and place >= 0 and offset < starts[place] + functions[place][1]:
                    yield functions[place][2], callee.name, info & 0xFF


def text(data, at):
    return data[at:data.index(b"\0", at)].decode()


def readable(names):
    """The names as Rust has them, where a tool for that is installed."""
    tool = next((tool for tool in ("rustfilt", "c++filt", "llvm-cxxfilt") if shutil.which(tool)), None)
    if not tool or not names:
        return dict(zip(names, names))
    lines = subprocess.run([tool], input="\n".join(names), capture_output=True, text=True, check=True).stdout.splitlines()
    return {name: re.sub(r"\[[0-9a-f]{16}\]", "", line) for name, line in zip(names, lines)}
