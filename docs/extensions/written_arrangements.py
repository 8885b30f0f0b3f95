"""A page for each real arrangement: its title, what it expresses, its payoff, and the file itself."""

import tomllib
from pathlib import Path

from click.testing import CliRunner
from sources import GENERATED, ROOT, digest

from simulator.present.cli.main import main

FOLDER = ROOT / "configs" / "arrangements"
STAMP = GENERATED / "pictures" / "payoffs.txt"


def arrangement_pages() -> dict[str, str]:
    """The pages by their name below the generated ones, and a list of them."""
    files = sorted(FOLDER.glob("*.toml"))
    raw = {file: tomllib.loads(file.read_text(encoding="utf-8")) for file in files}
    pictures = GENERATED / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    known = STAMP.is_file() and STAMP.read_text() == digest()
    if not known:
        for file in files:
            _draw(file, pictures)
        STAMP.write_text(digest())
    pages = {f"arrangements/{file.stem}.md": _page(file, raw[file]) for file in files}
    rows = "\n".join(f"| [{raw[file]['title']}]({file.stem}.md) | `{_shown(file)}` |" for file in files)
    listed = "\n".join(file.stem for file in files)
    pages["arrangements/index.md"] = (
        "# The files\n\nEach is a scenario that runs as it is: `simulator settle FILE` draws its populations and "
        f"settles its designs on them.\n\n| arrangement | file |\n|---|---|\n{rows}\n\n"
        f"```{{toctree}}\n:hidden:\n\n{listed}\n```\n"
    )
    return pages


def _shown(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def _picture(file: Path) -> str:
    return f"payoff-{file.stem}.png"


def _draw(file: Path, pictures: Path) -> None:
    """Draw the payoff by the same command that the page names."""
    target = pictures / _picture(file)
    done = CliRunner().invoke(main, ["settle", str(file), "--payoff", "--plot", str(target)])
    if done.exit_code:
        raise RuntimeError(f"the payoff of {file.name} cannot be drawn: {done.output}") from done.exception


def _page(file: Path, raw: dict[str, object]) -> str:
    designs = raw["designs"]
    assert isinstance(designs, list)
    said = "\n".join(f"- *{design['name']}*: {design.get('expresses', '')}" for design in designs)
    return f"""\
# {raw["title"]}

{said}

## Payoff

Each party's surplus against cost as a share of the budget, at expected quality and activity: exact, no draws.

```sh
simulator settle {_shown(file)} --payoff --plot payoff.png
```

![Surplus of each party as a share of the budget, by cost over budget](../pictures/{_picture(file)})

## The file

Figures of the source are as they are there; those that the source does not give are marked `assumed`.

```{{literalinclude}} ../../../{_shown(file)}
:language: toml
```
"""
