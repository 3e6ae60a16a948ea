"""Which files of the kit were edited by hand: `kit/MANIFEST` holds a checksum of each, as `sha256sum` writes them."""

import hashlib
from pathlib import Path

KIT = Path(__file__).resolve().parents[1]
NAME = "MANIFEST"
SUFFIXES = (".py", ".md", ".html", ".txt")


def manifest(kit: Path = KIT) -> str:
    """Returns a line for each file: its SHA-256 and its path. Line ends don't count, as Git may change them."""
    files = [path for path in sorted(kit.rglob("*")) if path.is_file() and path.suffix in SUFFIXES]
    sums = [hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest() for path in files]
    return "".join(f"{sum}  {path.relative_to(kit).as_posix()}\n" for sum, path in zip(sums, files, strict=True))


def changed_files(kit: Path = KIT) -> list[str]:
    """Returns the files that differ from the manifest, are missing, or are not in it."""
    delivered = (kit / NAME).read_text(encoding="utf-8") if (kit / NAME).is_file() else ""
    return sorted({line.partition("  ")[2] for line in {*delivered.splitlines()} ^ {*manifest(kit).splitlines()}})
