"""A copy of some parts of the workspace whose sources are broken, one text after the other: for `model/mutations` and `ci/statements`."""

import contextlib
import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def copy(parts, tree):
    """Makes `tree` a workspace with the core as its only member, and these folders."""
    tree.mkdir(parents=True, exist_ok=True)
    for part in parts:
        shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("target"), dirs_exist_ok=True)
    for name in ["Cargo.lock", "README.md"]:
        shutil.copy(ROOT / name, tree / name)
    manifest = (ROOT / "Cargo.toml").read_text()
    members = next(line for line in manifest.splitlines() if line.startswith("members"))
    (tree / "Cargo.toml").write_text(manifest.replace(members, 'members = ["mqtt-core"]'))


@contextlib.contextmanager
def source(file, text, instead, what):
    """The file with something else instead of the text, for as long as this lasts."""
    whole = file.read_text()
    if text not in whole:
        sys.exit(f"{what}: {file.name} has no such text any more:\n{text}")
    file.write_text(whole.replace(text, instead, 1))
    try:
        yield
    finally:
        file.write_text(whole)


@contextlib.contextmanager
def several(folder, edits, what):
    """The same for several files, or texts of one."""
    with contextlib.ExitStack() as stack:
        for name, text, instead in edits:
            stack.enter_context(source(folder / name, text, instead, what))
        yield
