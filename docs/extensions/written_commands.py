"""The command line, verb by verb, from what `--help` knows."""

import inspect

import click

from simulator.present.cli.main import main


def command_page() -> str:
    """The page."""
    parts = [
        "# The command line\n",
        "Each verb prints a readable table and takes `--help`. Bad input gets one sentence that names the file, the "
        "key, the value, the bound and the mend, and exit code 2; a run that fails its own check has exit code 3.\n",
    ]
    parts += [_verb(name, verb) for name, verb in sorted(main.commands.items())]
    return "\n".join(parts)


def _verb(name: str, verb: click.Command) -> str:
    context = click.Context(verb, info_name=f"simulator {name}")
    usage = " ".join(verb.collect_usage_pieces(context))
    options = [one for one in verb.get_params(context) if isinstance(one, click.Option)]
    rows = [row for row in (one.get_help_record(context) for one in options) if row]
    table = "\n".join(f"| `{flag}` | {_cell(said)} |" for flag, said in rows)
    return (
        f"## simulator {name}\n\n```sh\nsimulator {name} {usage}\n```\n\n{_prose(verb.help or '')}\n\n"
        f"| option | what it does |\n|---|---|\n{table}\n"
    )


def _prose(text: str) -> str:
    """The help with its example set apart."""
    paragraphs = []
    for paragraph in inspect.cleandoc(text).replace("\b", "").split("\n\n"):
        before, mark, example = paragraph.partition("Example: ")
        paragraphs.append(before.strip())
        if mark:
            paragraphs.append(f"```sh\n{example.strip()}\n```")
    return "\n\n".join(filter(None, paragraphs))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("$", "\\$").replace("*", "\\*").replace("[[", "\\[\\[").replace("<", "&lt;")
