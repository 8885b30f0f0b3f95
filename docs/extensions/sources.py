"""What the pages are made from: the folder of the project, and a digest of all that can change an output."""

import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ROOT / "docs" / "generated"
RESULTS = ROOT / "results"


@cache
def digest() -> str:
    """SHA-256 of the package, the scenario files and this folder."""
    sha = hashlib.sha256()
    for folder, pattern in (("simulator", "*.py"), ("configs", "*.toml"), ("docs/extensions", "*.py")):
        for path in sorted((ROOT / folder).rglob(pattern)):
            sha.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return sha.hexdigest()


def write(path: Path, text: str) -> None:
    """Write a page, unless it stands there already: what does not change is not built again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
