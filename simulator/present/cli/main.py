"""The command line: every file of `verbs` holds the verb of its name."""

import logging
import pkgutil
from importlib import import_module

import click

from . import verbs
from .errors import Verbs


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="capitation-risk", prog_name="simulator")
def main() -> None:
    """How much of next year's health-care cost is luck, and who should carry it?

    \b
    simulator check configs/east_sussex.toml       what the scenario implies, without simulation
    simulator run configs/east_sussex.toml         simulate, and print how large is large enough
    simulator calibrate --mean 952 --p-user 85% --top-share 5%=51.4%

    \b
    Fractions, such as a margin, are written as 0.03 or as 3%; other numbers as 1500, 1,500 or 1.5k.
    """  # noqa: D301 - click takes this backslash for "do not wrap"
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)


for _module in pkgutil.iter_modules(verbs.__path__):
    main.add_command(getattr(import_module(f"{verbs.__name__}.{_module.name}"), _module.name))


if __name__ == "__main__":
    main()
