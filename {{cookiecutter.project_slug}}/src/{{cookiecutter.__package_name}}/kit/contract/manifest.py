"""Which files of the kit were edited by hand: `kit/MANIFEST` holds a checksum of each, as `sha256sum` writes them."""

import hashlib
from pathlib import Path

KIT = Path(__file__).resolve().parents[1]
NAME = "MANIFEST"


def checksums(kit: Path = KIT) -> dict[str, str]:
    """Returns the SHA-256 of each file, by its path; line ends don't count, as Git may change them."""
    files = [path for path in sorted(kit.rglob("*")) if path.is_file() and path.suffix in (".py", ".md")]
    return {
        path.relative_to(kit).as_posix(): hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()
        for path in files
    }


def changed_files(kit: Path = KIT) -> list[str]:
    """Returns the files that differ from the manifest, are missing, or are not in it."""
    lines = (kit / NAME).read_text(encoding="utf-8").split("\n") if (kit / NAME).is_file() else []
    delivered = {path: checksum for checksum, _, path in (line.partition("  ") for line in lines) if path}
    return sorted({path for path, _ in delivered.items() ^ checksums(kit).items()})
