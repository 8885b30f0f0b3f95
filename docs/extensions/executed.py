"""Commands and Python on a page are run when it is built, and what they print stands below them.

    ```{shell}
    :says: 17,000
    simulator size configs/east_sussex.toml
    ```

`says` lists (with " | " between) what the output must contain: figures that the prose repeats. The build fails where
they are gone, or where a command fails. Blocks of a page run in order, in the project's folder, and may write to
results/. Outputs are kept in results/docs-outputs until the package, a scenario file or the page's blocks change.
"""

import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sources import GENERATED, RESULTS, ROOT, digest
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)
KEPT = RESULTS / "docs-outputs"
LONGEST = 300  # seconds


def run(command: list[str]) -> tuple[int, str]:
    """Exit code and output of a command, in the project's folder and this environment."""
    surroundings = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": str(ROOT),
        "MPLBACKEND": "Agg",
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "OPENBLAS_NUM_THREADS": "1",  # pages are built side by side
    }
    RESULTS.mkdir(exist_ok=True)
    done = subprocess.run(
        command, cwd=ROOT, env=surroundings, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL, timeout=LONGEST, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def seconds_of_children() -> float:
    """Seconds that this process's commands have kept a core busy; not those of other work on the machine."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Block:
    """One executed block of a page: its command, and where its output is kept."""

    def __init__(self, command: list[str], before: str) -> None:
        self.command = command
        said = json.dumps([digest(), before, command])
        self.key = hashlib.sha256(said.encode()).hexdigest()
        self.file = KEPT / f"{self.key}.json"
        self.has_run = False

    def execute(self) -> tuple[int, str]:
        """Run it and keep what it printed."""
        before = seconds_of_children()
        code, output = run(self.command)
        logger.info("%.1f s: %s", seconds_of_children() - before, self.command[-1].strip().splitlines()[-1])
        KEPT.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps([code, output]), encoding="utf-8")
        self.has_run = True
        return code, output


class Executed(SphinxDirective):
    """A block that is run when the page is built."""

    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {
        "says": directives.unchanged,
        "exit": directives.nonnegative_int,
        "picture": directives.unchanged,
        "alt": directives.unchanged,
        "output-only": directives.flag,
    }
    language = "sh"

    def command(self, text: str) -> list[str]:
        """What is run for a block of this language."""
        return ["bash", "-c", text]

    def run(self) -> list[nodes.Node]:
        """The block, its output and its picture."""
        text = "\n".join(self.content)
        page = self.env.current_document if hasattr(self.env, "current_document") else self.env.temp_data
        blocks: list[Block] = page.setdefault("executed_blocks", [])
        block = Block(self.command(text), blocks[-1].key if blocks else "")
        blocks.append(block)
        code, output = self._output(block, blocks)
        self._judge(text, code, output)
        shown = [] if "output-only" in self.options else [self._literal(text, self.language)]
        if output.strip():
            box = nodes.container(classes=["output"])
            box += self._literal(output.rstrip(), "none")
            shown.append(box)
        return [*shown, *self._picture()]

    def _output(self, block: Block, blocks: list[Block]) -> tuple[int, str]:
        picture = self.options.get("picture")
        if block.file.is_file() and (picture is None or self._copy(picture).is_file()):
            code, output = json.loads(block.file.read_text(encoding="utf-8"))
            return code, output
        for earlier in blocks[:-1]:  # what they wrote may be gone
            if not earlier.has_run:
                earlier.execute()
        code, output = block.execute()
        if picture is not None and code == 0:
            copy = self._copy(picture)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / picture, copy)
        return code, output

    def _judge(self, text: str, code: int, output: str) -> None:
        if code != self.options.get("exit", 0):
            logger.warning("this failed (exit %d):\n%s\n%s", code, text, output, location=self.get_location())
        for phrase in filter(None, self.options.get("says", "").split(" | ")):
            if phrase not in output:
                logger.warning(
                    "the text quotes %r, which the output of %r lacks: mend the text and `says`",
                    phrase, text.splitlines()[0], location=self.get_location(),
                )  # fmt: skip

    def _copy(self, picture: str) -> Path:
        page = self.env.docname.replace("/", "-")
        return GENERATED / "pictures" / f"{page}-{Path(picture).name}"

    def _picture(self) -> list[nodes.Node]:
        if "picture" not in self.options:
            return []
        uri = "/" + self._copy(self.options["picture"]).relative_to(ROOT / "docs").as_posix()
        image = nodes.image(uri=uri, alt=self.options["alt"])
        self.set_source_info(image)
        return [image]

    def _literal(self, text: str, language: str) -> nodes.literal_block:
        literal = nodes.literal_block(text, text, language=language)
        self.set_source_info(literal)
        return literal


class ExecutedPython(Executed):
    """Python that is run when the page is built."""

    language = "python"

    def command(self, text: str) -> list[str]:
        """What is run for a block of this language."""
        return [sys.executable, "-c", text]


def warm_up(app: Sphinx) -> None:
    """Compile the kernels once: workers that all find the cache empty would each write it."""
    tiny = (
        "import simulator as sim; "
        "sim.simulate(sim.load('configs/uncertain.toml').with_simulation(replicates=2, population_sizes=(100,)))"
    )
    code, output = run([sys.executable, "-c", tiny])
    if code:
        raise RuntimeError(output)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives; pages are read afresh where the package changed."""
    app.add_config_value("sources_digest", digest(), "env")
    app.add_directive("shell", Executed)
    app.add_directive("python", ExecutedPython)
    app.connect("builder-inited", warm_up, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
