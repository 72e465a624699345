"""Adds up what `llvm-cov export --format=lcov` says: lines and branches of each folder of a crate, without its unit tests.

    coverage_table.py LCOV SRC [--missing] [--least LINES BRANCHES]

`--missing` lists what is not reached; `--least` fails below these percentages.
"""

import argparse
import collections
import pathlib
import sys


def unit_tests_begin(path):
    """The line from which on a file is its own test: style has them at the end."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("#[cfg(test)]"):
            return number
    return sys.maxsize


def read(lcov, src):
    """For each file below `src`: hits of each line, and of each branch."""
    files = {}
    for entry in lcov.read_text().splitlines():
        kind, _, rest = entry.partition(":")
        if kind == "SF":
            path = pathlib.Path(rest)
            inside = path.is_relative_to(src)
            lines, branches = files.setdefault(path, ({}, {})) if inside else ({}, {})
            end = unit_tests_begin(path) if inside else 0
        elif kind == "DA":
            line, hits = map(int, rest.split(",")[:2])
            if line < end:
                lines[line] = max(lines.get(line, 0), hits)
        elif kind == "BRDA":
            line, block, branch, hits = rest.split(",")
            if int(line) < end:
                key = (int(line), block, branch)
                branches[key] = max(branches.get(key, 0), 0 if hits == "-" else int(hits))
    return files


def share(hit, all_of_them):
    return f"{100 * hit / all_of_them:.1f} %" if all_of_them else "–"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lcov", type=pathlib.Path)
    parser.add_argument("src", type=pathlib.Path)
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("--least", nargs=2, type=float, default=(0, 0))
    options = parser.parse_args()
    src = options.src.resolve()
    files = read(options.lcov, src)

    sums = collections.defaultdict(lambda: [0, 0, 0, 0])
    for path, (lines, branches) in sorted(files.items()):
        folder = path.relative_to(src).parts[0]
        row = [sum(map(bool, lines.values())), len(lines), sum(map(bool, branches.values())), len(branches)]
        for name in (folder if path.parent != src else "(top)", "all"):
            sums[name] = [old + new for old, new in zip(sums[name], row)]
        if options.missing:
            for line in sorted(number for number, hits in lines.items() if not hits):
                print(f"{path.relative_to(src)}:{line}: not reached")
            for line, _, branch in sorted(key for key, hits in branches.items() if not hits and lines.get(key[0])):
                print(f"{path.relative_to(src)}:{line}: never {'false' if int(branch) % 2 else 'true'}")

    print("| folder | lines | | branches | |\n| --- | ---: | ---: | ---: | ---: |")
    total = sums.pop("all")
    for name, (hit, lines, taken, branches) in [*sorted(sums.items()), ("all", total)]:
        print(f"| {name} | {hit} of {lines} | {share(hit, lines)} | {taken} of {branches} | {share(taken, branches)} |")
    reached = [100 * total[0] / total[1], 100 * total[2] / total[3] if total[3] else 100]
    if any(found < least for found, least in zip(reached, options.least)):
        sys.exit(f"less than {options.least[0]} % of the lines, or {options.least[1]} % of the branches")


main()
