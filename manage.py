#!/usr/bin/env python3
"""The entry point: `python3 manage.py up`, `python3 manage.py test`, and Django's own commands.

On a Python without Django it makes `.venv` beside itself, installs the locked requirements with their hashes and enters
it; for that it needs the standard library alone. The file must parse on Python 3.6, so that an old Python gets a
sentence and no traceback; types are therefore quoted. Source: operations.md, section 3.
"""

import hashlib
import os
import shutil
import subprocess
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
LOCK = os.path.join(ROOT, ".venv.lock")
OLDEST_PYTHON = (3, 11)
PYTHON_VERSION = ".".join(str(part) for part in sys.version_info[:3])
DJANGO = "5.2"
# Set by a machine's owner for other programs, these send an installation elsewhere; an index address is kept.
DROPPED = ("PIP_USER", "PIP_TARGET", "PYTHONHOME", "PYTHONPATH", "__PYVENV_LAUNCHER__")
# What a command needs beside requirements.txt.
EXTRAS = {"test": "requirements-dev.txt", "demo_agent": "requirements-demo.txt"}


def main(argv: "list[str]") -> "int":
    """Runs the command and returns its exit status; may replace this process by one of `.venv`."""
    if sys.version_info[:2] < OLDEST_PYTHON:
        wanted = ".".join(str(part) for part in OLDEST_PYTHON)
        return fail("guardsite needs Python %s or newer; this is %s (%s)." % (wanted, PYTHON_VERSION, sys.executable))
    command = argv[1] if len(argv) > 1 else ""
    extra = EXTRAS.get(command)
    here = django_here()
    if inside_venv():
        if here is None:
            return fail("%s has no Django: it was not finished. Remove .venv and run this again with python3." % VENV)
        if extra is not None and not is_stamped(extra):
            with_lock(lambda: None if is_stamped(extra) else install(extra))
    elif here is None:
        make_venv(extra)
        return enter_venv(argv)
    elif here.rsplit(".", 1)[0] != DJANGO and not here.startswith(DJANGO + "."):
        return fail("This Python has Django %s; guardsite needs %s. Use %s manage.py." % (here, DJANGO, PYTHON))
    elif extra is not None and not has_module("pytest_django" if command == "test" else "openai"):
        return fail("This environment is not ours to change. Run: %s -m pip install -r %s" % (sys.executable, extra))
    return run(argv)


def run(argv: "list[str]") -> "int":
    """Runs the command in this process: Django is here."""
    command = argv[1] if len(argv) > 1 else ""
    if command == "test":
        if argv[2:] == ["--prepare"]:
            return 0
        os.chdir(ROOT)
        os.execv(sys.executable, [sys.executable, "-m", "pytest", *argv[2:]])
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "guardsite.settings")
    sys.path.insert(0, ROOT)
    if command == "up":
        from guardsite.supervisor import main as up

        return up(argv[2:])
    if command == "demo_agent":
        # An agent, not a part of the server: it needs no settings and no database.
        sys.path.insert(1, os.path.join(ROOT, "sdk"))
        from demo.agent import main as demo_agent

        return demo_agent(argv[2:])
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(argv)
    except ImproperlyConfigured as error:
        return fail("cannot start: %s" % error)
    return 0


def django_here() -> "str | None":
    """The version of Django that this Python can import, or None."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("Django")
    except PackageNotFoundError:
        return None


def has_module(name: "str") -> "bool":
    """True when this Python can import `name`."""
    import importlib.util

    return importlib.util.find_spec(name) is not None


def inside_venv() -> "bool":
    """True when this process runs in our own `.venv`."""
    return os.path.realpath(sys.prefix) == os.path.realpath(VENV)


def stamp_path(requirements: "str") -> "str":
    """The file that says that `requirements` were installed completely, and as of which content."""
    return os.path.join(VENV, "guardsite-" + requirements + ".stamp")


def stamp_of(requirements: "str") -> "str":
    """What the stamp must say: the Python version, and the digest of the file."""
    with open(os.path.join(ROOT, requirements), "rb") as file:
        content = file.read()
    return "%s %s" % (PYTHON_VERSION, hashlib.sha256(content).hexdigest())


def is_stamped(requirements: "str") -> "bool":
    """True when `.venv` holds exactly what `requirements` says now, for this Python."""
    try:
        with open(stamp_path(requirements)) as file:
            return file.read().strip() == stamp_of(requirements) and os.path.exists(PYTHON)
    except OSError:
        return False


def is_ours() -> "bool":
    """True when `.venv` was once complete for this very Python; locked packages may then be changed in place."""
    try:
        with open(stamp_path("requirements.txt")) as file:
            return file.read().startswith(PYTHON_VERSION + " ") and os.path.exists(PYTHON)
    except OSError:
        return False


def make_venv(extra: "str | None") -> "None":
    """Leaves a complete `.venv`; of two that start at once, the second finds it done."""
    if is_stamped("requirements.txt") and (extra is None or is_stamped(extra)):
        return

    def make() -> "None":
        if not is_stamped("requirements.txt"):
            if not is_ours():
                say("making .venv; this happens once")
                create()
            install("requirements.txt")
        if extra is not None and not is_stamped(extra):
            install(extra)

    with_lock(make)


def with_lock(work: "Callable[[], object]") -> "None":
    """Calls `work` while no other process does; the kernel frees the lock however we end."""
    import fcntl

    try:
        lock = os.open(LOCK, os.O_WRONLY | os.O_CREAT, 0o600)
    except OSError as error:
        raise SystemExit(fail("cannot write %s: %s." % (LOCK, error.strerror))) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        work()
    finally:
        os.close(lock)


def create() -> "None":
    """An empty `.venv`, whatever was there."""
    uv = shutil.which("uv")
    if uv is not None and attempt([uv, "venv", "--clear", "--quiet", "--python", sys.executable, VENV])[0]:
        return
    if not has_module("ensurepip"):
        raise SystemExit(
            fail(
                "This Python cannot make an environment: it has no ensurepip, and uv is not on PATH. "
                "On Debian or Ubuntu: apt install python3-venv. Or install uv (https://docs.astral.sh/uv/)."
            )
        )
    done, output = attempt([sys.executable, "-m", "venv", "--clear", VENV])
    if not done:
        raise SystemExit(fail("making .venv failed:\n%s" % output))


def install(requirements: "str") -> "None":
    """Installs a locked file with its hashes, then stamps it: a stamp that exists is true."""
    say("installing %s" % requirements)
    stamp = stamp_path(requirements)
    if os.path.exists(stamp):
        os.remove(stamp)
    path = os.path.join(ROOT, requirements)
    done, output = False, ""
    uv = shutil.which("uv")
    if uv is not None:
        done, output = attempt([uv, "pip", "install", "--quiet", "--python", PYTHON, "--require-hashes", "-r", path])
    if not done:
        # Without uv, or where pip's own configuration names an index that uv does not read.
        pip, more = install_with_pip(path)
        done, output = pip, more or output
    if not done:
        raise SystemExit(
            fail(
                "installing %s failed. The last lines were:\n%s\n"
                "Another index: PIP_INDEX_URL=https://... python3 manage.py %s"
                % (requirements, output, " ".join(sys.argv[1:]))
            )
        )
    with open(stamp + ".new", "w") as file:
        file.write(stamp_of(requirements) + "\n")
    os.rename(stamp + ".new", stamp)


def install_with_pip(path: "str") -> "tuple[bool, str]":
    """Whether pip installed the file, and its last lines."""
    if not attempt([PYTHON, "-m", "pip", "--version"])[0]:
        done, output = attempt([PYTHON, "-m", "ensurepip"])
        if not done:
            return False, output
    options = ["--quiet", "--no-input", "--disable-pip-version-check", "--require-hashes"]
    return attempt([PYTHON, "-m", "pip", "install", *options, "-r", path])


def attempt(command: "list[str]") -> "tuple[bool, str]":
    """Whether the command succeeded, and the last lines that it wrote."""
    environment = {name: value for name, value in os.environ.items() if name not in DROPPED}
    if "PIP_INDEX_URL" in environment:
        # One variable names the index for both installers.
        environment.setdefault("UV_DEFAULT_INDEX", environment["PIP_INDEX_URL"])
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT, env=environment)
        output = process.communicate()[0].decode("utf-8", "replace")
    except OSError as error:
        return False, str(error)
    return process.returncode == 0, "\n".join(output.strip().splitlines()[-8:])


def enter_venv(argv: "list[str]") -> "int":
    """Becomes the Python of `.venv`, running the same command."""
    os.environ.pop("PYTHONHOME", None)
    os.environ.pop("__PYVENV_LAUNCHER__", None)
    sys.stdout.flush()
    os.execv(PYTHON, [PYTHON, os.path.join(ROOT, "manage.py"), *argv[1:]])


def say(sentence: "str") -> "None":
    """One line on standard error, where installers write too."""
    sys.stderr.write("guardsite: %s\n" % sentence)
    sys.stderr.flush()


def fail(sentence: "str") -> "int":
    """Says why and gives the exit status."""
    say(sentence)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
