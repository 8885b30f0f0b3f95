"""A contact sheet of every picture and page.

Usage: python docs/extensions/contact_sheet.py FOLDER FILE…

Each FILE is what a verb wrote with --out (.nc: all pictures that it has the figures for) or a page (.html: at 1280 and
390 pixels, and each sheet of paper). FOLDER gets each at full size, and all of them, small, in contact_sheet.png.
Pages need chromium, and paper pdftoppm; without them they are left out, and a line says so.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw

matplotlib.use("Agg")

from simulator.errors import SimulatorError
from simulator.present.pictures import PICTURES, drawable
from simulator.present.plot_request import PlotRequest, of_year, open_any
from simulator.present.plots.style import save_figure

QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
TILE, ACROSS, CAPTION = 420, 4, 22


def pictures(path: Path, folder: Path) -> Iterator[Path]:
    """Every picture of a result file."""
    request = PlotRequest(str(path), of_year(open_any(str(path)), None, str(path)))
    for name in drawable(request):
        out = folder / f"{path.stem}-{name}.png"
        try:
            save_figure(PICTURES[name].draw(PICTURES[name].make(request), request), out)
        except SimulatorError as error:
            print(f"{name}: {error}")
            continue
        yield out


def pages(path: Path, folder: Path) -> Iterator[Path]:
    """A page at two widths and on paper."""
    browser = shutil.which("chromium")
    if browser is None:
        print(f"{path}: left out, no chromium")
        return
    with tempfile.TemporaryDirectory() as scratch:
        # no window of chromium is as narrow as a phone: a frame is
        framed = Path(scratch) / "phone.html"
        frame = (
            f'<body style="margin:0"><iframe src="{path.resolve().as_uri()}" width="390" height="844" style="border:0">'
        )
        framed.write_text(frame)
        for width, height, address in ((1280, 1600, path.resolve()), (390, 844, framed)):
            out = folder / f"{path.stem}-{width}.png"
            size = f"--window-size={max(width, 500)},{height}"
            subprocess.run(
                [browser, *QUIET, size, f"--screenshot={out}", address.as_uri()], check=True, capture_output=True
            )
            if width < 500:
                Image.open(out).crop((0, 0, width, height)).save(out)
            yield out
        paper = Path(scratch) / "paper.pdf"
        subprocess.run(
            [browser, *QUIET, "--no-pdf-header-footer", f"--print-to-pdf={paper}", path.resolve().as_uri()],
            check=True, capture_output=True,
        )  # fmt: skip
        if shutil.which("pdftoppm") is None:
            print(f"{path}: not on paper, no pdftoppm")
            return
        subprocess.run(["pdftoppm", "-r", "80", "-png", paper, folder / f"{path.stem}-paper"], check=True)
    yield from sorted(folder.glob(f"{path.stem}-paper*.png"))


def sheet(images: list[Path], out: Path) -> None:
    """All of them, small, each with its name."""
    tiles = []
    for path in images:
        image = Image.open(path).convert("RGB")
        image.thumbnail((TILE, TILE))
        tile = Image.new("RGB", (TILE + 16, TILE + CAPTION + 16), "white")
        tile.paste(image, (8, CAPTION))
        ImageDraw.Draw(tile).text((8, 4), path.stem, fill="black")
        tiles.append(tile)
    rows = -(-len(tiles) // ACROSS)
    whole = Image.new("RGB", (ACROSS * tiles[0].width, rows * tiles[0].height), "#d0d0d0")
    for number, tile in enumerate(tiles):
        whole.paste(tile, (number % ACROSS * tile.width, number // ACROSS * tile.height))
    whole.save(out)


def main(folder: str, *files: str) -> None:
    """Write every image and the sheet of all."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    found = [one for name in map(Path, files) for one in (pages if name.suffix == ".html" else pictures)(name, place)]
    if not found:
        sys.exit("nothing to show: name .nc files of the verbs, or pages")
    sheet(found, place / "contact_sheet.png")
    print(f"{len(found)} pictures and pages: {place / 'contact_sheet.png'}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
