"""One-file developer command: sets everything up, then runs the main job, the tests or the checks.

    python3 dev.py demo [options]      the main job on configs/east_sussex.toml; writes figures and a report to results/
    python3 dev.py test [options]      the tests; options go to pytest
    python3 dev.py test --fast         most of them, on two cores, in a minute or so
    python3 dev.py test --slow         all of them, with the whole products of which the others have samples
    python3 dev.py docs [options]      the documentation site; writes to results/docs, options go to sphinx
    python3 dev.py lint                ruff, formatting, spelling and types
    python3 dev.py setup [extra ...]   only the environment: the core, or extras of pyproject.toml such as dev
    python3 dev.py lock                write constraints.txt anew
    python3 dev.py floors [options]    the tests with the lowest versions that pyproject.toml allows

It needs Python 3.11 or later with venv and nothing else. The environment is .venv beside this file (or the folder named
by DEV_VENV), is made once, and is brought up to date when pyproject.toml or constraints.txt change. Commands run in the
folder of this file, so paths among the options are relative to it.
"""

import hashlib
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

OLDEST_PYTHON = (3, 11)
ROOT = Path(__file__).resolve().parent
VENV = Path(os.environ.get("DEV_VENV") or ROOT / ".venv").resolve()
COMPILE = ("uv", "pip", "compile", "--quiet", "--all-extras", "--no-header", "--no-annotate", "--python-version=3.11")
# this file stays readable for older Pythons, so that they reach the sentence that refuses them


def say(text):
    print("dev.py: " + text, flush=True)


def stop(text):
    print("dev.py: " + text, file=sys.stderr, flush=True)
    raise SystemExit(1)


def python_of(venv):
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def run(command):
    """Run a command in the folder of this file; its exit code."""
    return subprocess.call([str(part) for part in command], cwd=str(ROOT))


def shown(path):
    return str(path.relative_to(ROOT)) if ROOT in path.parents else str(path)


# ── the environment ──────────────────────────────────────────────────────────────────────────────


def digest():
    """What an installed environment depends on."""
    sha = hashlib.sha256()
    for name in ("pyproject.toml", "constraints.txt"):
        sha.update((ROOT / name).read_bytes())
    # the installation is editable: it points at this folder
    sha.update(f"{sys.version_info[:2]} {ROOT}".encode())
    return sha.hexdigest()


def stamp_of(venv):
    return venv / "dev-stamp.txt"


def installed_extras(venv):
    """The extras that were installed from these very files; None where nothing was."""
    try:
        found, *extras = stamp_of(venv).read_text().split()
    except (OSError, ValueError):
        return None
    return set(extras) if found == digest() and python_of(venv).exists() else None


def is_current(venv, extras):
    installed = installed_extras(venv)
    return installed is not None and set(extras) <= installed


def same_python(venv):
    """Whether an environment was made by the Python that runs this."""
    try:
        lines = (venv / "pyvenv.cfg").read_text().splitlines()
    except OSError:
        return False
    version = [line.split("=")[1].strip() for line in lines if line.startswith("version")]
    return bool(version) and version[0].split(".")[:2] == [str(part) for part in sys.version_info[:2]]


def has_pip(venv):
    command = [str(python_of(venv)), "-m", "pip", "--version"]
    try:
        return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def can_make_environments():
    found = [importlib.util.find_spec(name) for name in ("venv", "ensurepip")]
    return all(spec is not None and spec.origin is not None for spec in found)


def make(venv):
    if same_python(venv) and has_pip(venv):
        return
    if not can_make_environments():
        stop(
            "Python here cannot make environments, because its modules venv and ensurepip are not installed.\n"
            "On Debian and Ubuntu:  sudo apt install python3-venv python3-pip\n"
            "Then run the same command again."
        )
    say(f"making the environment {shown(venv)} with Python {sys.version.split()[0]}")
    if run([sys.executable, "-m", "venv", "--clear", venv]) != 0:
        stop("the environment could not be made; the lines above say why (a full disk, or a folder that is read-only?)")


def install(venv, *arguments):
    pip = [python_of(venv), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    if run([*pip, *arguments]) != 0:
        stop(
            "pip could not install the packages; its own lines above say why.\n"
            "The first set-up needs a network or a mirror that pip is told of. Then run the same command again."
        )


def ensure(extras=(), venv=VENV, constraints="constraints.txt"):
    """Make the environment and install the package and its extras, unless that was done already."""
    if is_current(venv, extras):
        return
    started = time.time()
    extras = sorted(set(extras) | (installed_extras(venv) or set()))
    stamp_of(venv).unlink(missing_ok=True)
    make(venv)
    target = f".[{','.join(extras)}]" if extras else "."
    say(f"installing {target} with all that it needs into {shown(venv)} (first time only; about a minute)")
    install(venv, "--constraint", constraints, "--editable", target)
    stamp_of(venv).write_text(" ".join([digest(), *extras]) + "\n")
    say(f"ready after {time.time() - started:.0f} s")


# ── the commands ─────────────────────────────────────────────────────────────────────────────────


def setup(options):
    ensure(tuple(options))
    say(f"ready; the Python of the environment is {shown(python_of(VENV))}")
    return 0


def demo(options):
    ensure(("report",))
    return run([python_of(VENV), "-m", "simulator.present.cli.demo", *options])


LANES = {"--fast": ("-m", "not slow and not heavy", "-n", "2", "--dist", "worksteal"), "--slow": ("-m", "")}


def test(options):
    ensure(("dev",))
    # two processes of two threads each would mostly wait for one another
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # a lane comes first, so that options given after it have the last word
    lanes = [word for name in LANES if name in options for word in LANES[name]]
    return run([python_of(VENV), "-m", "pytest", *lanes, *(option for option in options if option not in LANES)])


def lint(options):
    ensure(("dev",))
    checks = (("ruff", "check"), ("ruff", "format", "--check"), ("codespell_lib",), ("mypy",))
    return max([run([python_of(VENV), "-m", *check, *options]) for check in checks])


def docs(options):
    ensure(("dev",))
    site = ["-W", "--keep-going", "-q", "-j", "auto", "-b", "html", "docs", "results/docs"]
    failed = run([python_of(VENV), "-m", "sphinx", *site, *options])
    if not failed:
        say("open results/docs/index.html")
    return failed


def lock(options):
    ensure(("dev",))
    install(VENV, "uv")
    say("writing constraints.txt")
    universal = ["--universal", "--upgrade", "-o", "constraints.txt", "pyproject.toml"]
    return run([python_of(VENV), "-m", *COMPILE, *universal, *options])


def floors(options):
    """The tests in an environment of their own, every direct dependency at its lower bound."""
    venv = ROOT / "results" / "floors-venv"
    if not is_current(venv, ("dev",)):
        ensure(("dev",), venv, resolve_floors(venv))
    return run([python_of(venv), "-m", "pytest", *options])


def resolve_floors(venv):
    lowest = venv.parent / "floors.txt"
    lowest.parent.mkdir(exist_ok=True)
    make(venv)
    install(venv, "uv")
    say("looking for the lowest versions that pyproject.toml allows")
    if run([python_of(venv), "-m", *COMPILE, "--resolution", "lowest-direct", "-o", lowest, "pyproject.toml"]) != 0:
        stop("the lower bounds contradict each other; the lines above say where")
    return lowest


COMMANDS = {"demo": demo, "test": test, "docs": docs, "lint": lint, "setup": setup, "lock": lock, "floors": floors}


def main(arguments):
    if sys.version_info < OLDEST_PYTHON:
        needed = ".".join(str(part) for part in OLDEST_PYTHON)
        stop(f"Python {needed} or later is needed; this is {sys.version.split()[0]}.")
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(__doc__.strip())
        return 0
    if arguments[0] not in COMMANDS:
        stop(f"there is no command {arguments[0]!r}; there are {', '.join(COMMANDS)}.")
    return COMMANDS[arguments[0]](arguments[1:])


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
