"""How the command line speaks: one sentence for every mistake, click's own included, and exit code 2."""

import difflib
import io
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from ...effort import watched
from ...errors import SimulatorError, SimulatorWarning
from ...stopping import exit_code


class Sentence(click.ClickException):
    """One clear sentence on standard error, and exit code 2."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        """Print every mistake on a line of its own."""
        for line in self.message.splitlines():
            said = "".join(letter if letter.isprintable() else " " for letter in line)
            click.echo(f"simulator: {said}", file=file or sys.stderr)


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turn the program's own errors into sentences."""
    try:
        yield
    except SimulatorError as error:
        raise Sentence(str(error)) from None


class Stopped(Sentence):
    """The sentence on a command that was stopped, and the exit code that shells give it, or that of what broke down."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code() if code is None else code  # type: ignore[misc]


@contextmanager
def stops() -> Iterator[None]:
    """Say that a command was stopped by hand."""
    try:
        yield
    except Stopped:
        raise
    except BaseException as error:
        if not _is_stop(error):
            raise
        raise Stopped("stopped; no file was left half-written") from None


def _is_stop(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error: a library that is being loaded may make it one of its own."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


@contextmanager
def own_words() -> Iterator[None]:
    """Reword click's errors; exit quietly on a broken pipe."""
    try:
        yield
    except Sentence:
        raise
    except OSError as error:
        if sys.stdout is not None:
            # what is left to be flushed has a place to go
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise SystemExit(0) from None
        if error.filename:
            what = f"{error.filename}: cannot be read or written ({error.strerror})"
            raise Sentence(f"{what}; check its name and its permissions") from None
        raise Sentence(f"the answer could not be written ({error.strerror}); free some space") from None
    except click.UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # nothing was asked, so that the help is shown
            raise
        raise Sentence(sentence_of(error)) from None


def sentence_of(error: click.UsageError) -> str:
    """What was found, what is wrong with it and how to mend it."""
    verb = error.ctx.command_path if error.ctx else "simulator"
    help_ = f"`{verb} --help` lists what there is"
    if isinstance(error, click.NoSuchOption):
        near = difflib.get_close_matches(error.option_name, error.possibilities or (), n=1)
        return f"{error.option_name}: is no option of {verb}; {_did_you_mean(near) or help_}"
    if isinstance(error, click.MissingParameter):
        return f"{_name(error)}: is missing; {_example(error)}"
    if isinstance(error, click.BadOptionUsage):
        return f"{error.option_name}: {_ending(error.message, error.option_name)}; {help_}"
    if isinstance(error, click.BadParameter):
        return f"{_name(error)}: {_wrong(error)}"
    return _of_verbs(error, help_)


def _of_verbs(error: click.UsageError, help_: str) -> str:
    """An unknown verb, or words too many."""
    message = error.message.rstrip(".")
    if message.startswith("No such command") and isinstance(error.ctx and error.ctx.command, click.Group):
        asked = message.split("'")[1] if "'" in message else ""
        known = sorted(error.ctx.command.commands)  # type: ignore[union-attr]
        near = _did_you_mean(difflib.get_close_matches(asked, known, n=1))
        return f"{asked!r}: is not a command; {near or 'choose one of ' + ', '.join(known)}"
    if "unexpected extra argument" in message:
        words = message.partition("(")[2].rstrip(")")
        return f"{words!r}: is more than the verb takes; put text with spaces in quotes, or see `--help`"
    return f"{message[:1].lower()}{message[1:]}; {help_}"


def _name(error: click.BadParameter) -> str:
    parameter = error.param
    if parameter is None:
        return str(error.param_hint or "the command")
    return parameter.opts[0] if isinstance(parameter, click.Option) else parameter.human_readable_name


def _example(error: click.MissingParameter) -> str:
    parameter = error.param
    if isinstance(parameter, click.Option):
        return f"add {parameter.opts[0]} and its value"
    verb = error.ctx.command_path if error.ctx else "simulator"
    return f"write `{verb} {_name(error)}`; --help shows an example"


def _wrong(error: click.BadParameter) -> str:
    """Click's finding in our words, for the kinds that it has."""
    message, kind = error.message.rstrip("."), getattr(error.param, "type", None)
    kind = getattr(kind, "one", kind)  # of several numbers each has the bounds of one
    given = message.split("'")[1] if message.startswith("'") and message.count("'") >= 2 else None
    if isinstance(kind, click.Choice):
        what = "" if given is None else f"{given!r} "
        return f"{what}must be one of {', '.join(map(str, kind.choices))}; choose one of these"
    bounds = _bounds(kind)
    if " is not in the range" in message:
        return f"{message.partition(' is not in the range')[0]} is out of range; give a number {bounds}"
    if given is not None and "is not a valid" in message:
        what, such = ("whole number", "1000") if isinstance(kind, click.types.IntParamType) else ("number", "0.05")
        return f"{given!r} is not a {what}; give a {what}{f' {bounds}' if bounds else f', such as {such}'}"
    return message


def _bounds(kind: Any) -> str:
    low, high = getattr(kind, "min", None), getattr(kind, "max", None)
    least = "" if low is None else f"{'above' if kind.min_open else 'of at least'} {low:g}"
    most = "" if high is None else f"{'below' if kind.max_open else 'of at most'} {high:.20g}"
    return " and ".join(part for part in (least, most) if part)


def _ending(message: str, option: str) -> str:
    if "requires an argument" in message:
        return "needs a value"
    if "does not take a value" in message:
        return "takes no value"
    return message.removeprefix(f"Option '{option}' ").rstrip(".")


def _did_you_mean(names: Sequence[str]) -> str:
    return f"did you mean {names[0]}?" if names else ""


class _Speaking(click.Command):
    """A command that speaks in the program's own words."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """As click does it."""
        with stops(), own_words():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """As click does it."""
        with stops(), own_words():
            return super().invoke(ctx)


class Verb(_Speaking):
    """A verb."""

    def invoke(self, ctx: click.Context) -> Any:
        """As click does it, with a word now and then where it takes long, and errors as sentences."""
        with watched(str(ctx.info_name)), clear_errors():
            return super().invoke(ctx)


class Verbs(_Speaking, click.Group):
    """The verbs together."""

    command_class = Verb

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does it; a scenario file in the place of a verb asks for its answer."""
        if args and args[0].endswith(".toml"):
            args = ["answer", *args]
        return super().parse_args(ctx, args)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """As click does it, with letters that the terminal lacks replaced, and warnings as sentences."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        with warnings.catch_warnings():
            warnings.simplefilter("always", SimulatorWarning)
            warnings.showwarning = _warned  # type: ignore[assignment]
            return super().main(*args, **kwargs)


def _warned(
    message: Warning | str, category: type[Warning], _file: str, _line: int, _to: Any = None, _text: Any = None
) -> None:
    if issubclass(category, SimulatorWarning):
        click.echo(f"simulator: {message}", err=True)
