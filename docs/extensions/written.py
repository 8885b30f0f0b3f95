"""Pages that are written when the site is built, so that they cannot go stale.

The Python reference from the public names, the scenario file from its schema, the command line from its own help, and
the arrangements from their files.
"""

import re
from typing import Any

from sources import GENERATED, write
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from written_arrangements import arrangement_pages
from written_commands import command_page
from written_python import public_names, python_pages, shown_name
from written_scenario import scenario_page

logger = logging.getLogger(__name__)


def write_pages(app: Sphinx) -> None:
    """Write every generated page, and take away those that are not made any more."""
    pages = {"scenario.md": scenario_page(), "command_line.md": command_page(), **python_pages(), **arrangement_pages()}
    for name, text in pages.items():
        write(GENERATED / name, text)
    for folder in ("python", "arrangements"):
        for old in (GENERATED / folder).glob("*.md"):
            if f"{folder}/{old.name}" not in pages:
                old.unlink()


def within_the_site(app: Sphinx, docname: str, source: list[str]) -> None:
    """Links of the page on arrangements that lead out of docs/ lead to their pages on the site."""
    if docname == "arrangements":
        text = re.sub(r"\]\(\.\./configs/arrangements/([\w-]+)\.toml\)", r"](generated/arrangements/\1.md)", source[0])
        source[0] = text.replace("](../CONTRIBUTING.md#", "](contributing.md#")


def every_name_is_there(app: Sphinx, env: BuildEnvironment) -> None:
    """Fail where a public name is missing from the reference."""
    described = set(env.domains["py"].objects)
    for name in public_names():
        if shown_name(name) not in described:
            logger.warning("the public name %r is missing from the reference", name)


def without_fields(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str, str | None] | None:
    """No signature for types whose fields are listed below it: it would repeat them with their validators."""
    return ("", None) if what == "class" and hasattr(thing, "model_fields") else None


def sentences_not_types(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Keep the words before a field's colon from being taken for its type: those are read from a first line only."""
    if what in ("attribute", "property"):
        lines.insert(0, "")


def setup(app: Sphinx) -> dict[str, Any]:
    """Write before pages are read, check afterwards."""
    app.connect("builder-inited", write_pages, priority=150)
    app.connect("source-read", within_the_site)
    app.connect("autodoc-process-signature", without_fields)
    app.connect("autodoc-process-docstring", sentences_not_types, priority=400)
    app.connect("env-check-consistency", every_name_is_there)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
