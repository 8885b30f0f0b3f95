"""Run notebooks/*.py, and hand them to the site with their outputs.

    python docs/extensions/notebooks.py [NOTEBOOK ...]

An executed copy is kept in results/notebooks and made anew only where the notebook or the package changed, so the
gate's stage "notebooks" and the site run each once.
"""

import hashlib
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from sources import GENERATED, RESULTS, ROOT, digest, write

SOURCES = ROOT / "notebooks"
KEPT = RESULTS / "notebooks"
LONGEST = 600  # seconds for a cell
STAMP = "made_from"
INLINE = "module://matplotlib_inline.backend_inline"  # MPLBACKEND=Agg, as the gate has it, would leave no picture


def executed(source: Path, afresh: bool = False) -> Path:
    """The notebook with its outputs, run now where that was not done before, or in any case.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        Where a cell fails.
    """
    import nbformat

    target = KEPT / f"{source.stem}.ipynb"
    stamp = hashlib.sha256(source.read_bytes() + digest().encode()).hexdigest()
    if not afresh and target.is_file() and nbformat.read(target, as_version=4).metadata.get(STAMP) == stamp:
        return target
    import jupytext
    from nbclient import NotebookClient

    notebook = jupytext.read(source)
    KEPT.mkdir(parents=True, exist_ok=True)
    # in results/, beside configs/, which a notebook reads
    where = {"metadata": {"path": str(RESULTS)}}
    client = NotebookClient(notebook, timeout=LONGEST, kernel_name="python3", resources=where)
    client.execute(env=os.environ | {"MPLBACKEND": INLINE})
    notebook.metadata[STAMP] = stamp
    nbformat.write(notebook, target)
    return target


def publish(app: Any) -> None:
    """Put the executed notebooks among the pages, with a list of them."""
    os.environ["PYTHONPATH"] = str(ROOT)
    folder = GENERATED / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    sources = sorted(SOURCES.glob("*.py"))
    for old in folder.glob("*.ipynb"):
        if old.stem not in [source.stem for source in sources]:
            old.unlink()
    for source in sources:
        made, copy = executed(source), folder / f"{source.stem}.ipynb"
        if not copy.is_file() or copy.read_bytes() != made.read_bytes():
            shutil.copyfile(made, copy)
    listed = "\n".join(source.stem for source in sources)
    write(
        folder / "index.md",
        "# Notebooks\n\nEach answers the question of its title. They stand in `notebooks/` as text; their outputs were "
        f"made when this site was built.\n\n```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```\n",
    )


def setup(app: Any) -> dict[str, Any]:
    """Run them before pages are read."""
    app.connect("builder-inited", publish, priority=200)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = str(ROOT)
    for given in sys.argv[1:] or sorted(str(path) for path in SOURCES.glob("*.py")):
        started = time.time()
        executed(Path(given), afresh=True)
        print(f"{given}: {time.time() - started:.0f} s")
