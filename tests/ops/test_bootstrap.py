"""`manage.py` on a machine that has nothing: each row of operations.md section 3, with tiny packages in place of the real."""

from __future__ import annotations

import ast
import base64
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from guardsite import env

pytestmark = pytest.mark.process

# The interpreter behind our own environment: it has no Django.
BARE_PYTHON = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
UV = Path(sys.executable).parent / "uv"
DJANGO_CODE = {
    "django/__init__.py": "",
    "django/core/__init__.py": "",
    "django/core/exceptions.py": "class ImproperlyConfigured(Exception): pass\n",
    "django/core/management/__init__.py": "def execute_from_command_line(argv): print('ran', *argv[1:], flush=True)\n",
}
PYTEST_CODE = {
    "pytest/__init__.py": "",
    "pytest/__main__.py": "import os, sys\nprint('tests ran', os.getcwd(), *sys.argv[1:])\n",
}


def _wheel(folder: Path, name: str, version: str, code: dict[str, str]) -> str:
    """Writes a wheel into `folder` and returns its line of a requirements file, with its hash."""
    info = f"{name}-{version}.dist-info"
    files = dict(code)
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record.append(f"{path},sha256={digest},{len(text.encode())}")
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,"]) + "\n"
    target = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(target.read_bytes()).hexdigest()}\n"


@dataclass
class Checkout:
    """A directory with our manage.py and requirements that install in no time."""

    root: Path
    environment: dict[str, str]

    def start(self, *arguments: str, python: Path = BARE_PYTHON, **more: str) -> subprocess.Popen[str]:
        """Runs manage.py without waiting."""
        return subprocess.Popen(
            [str(python), str(self.root / "manage.py"), *arguments],
            env=self.environment | more,
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, python: Path = BARE_PYTHON, **more: str) -> tuple[int, str]:
        """Its exit status and everything it wrote."""
        process = self.start(*arguments, python=python, **more)
        output = process.communicate(timeout=120)[0]
        return process.returncode, output

    @property
    def python(self) -> Path:
        return self.root / ".venv" / "bin" / "python"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A fresh clone in small, with uv on PATH and no index."""
    root, wheels, programs = tmp_path / "clone", tmp_path / "wheels", tmp_path / "bin"
    for folder in (root, wheels, programs):
        folder.mkdir()
    shutil.copy(env.BASE_DIR / "manage.py", root)
    (root / "requirements.txt").write_text(_wheel(wheels, "django", "5.2.99", DJANGO_CODE))
    (root / "requirements-dev.txt").write_text(_wheel(wheels, "pytest", "9.9.9", PYTEST_CODE))
    if UV.exists():
        (programs / "uv").symlink_to(UV)
    return Checkout(
        root,
        {
            "PATH": f"{programs}:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(wheels),
            "UV_NO_INDEX": "1",
            "UV_FIND_LINKS": str(wheels),
            "UV_CACHE_DIR": str(tmp_path / "uv-cache"),
            "UV_OFFLINE": "1",
        },
    )


@pytest.fixture
def manage() -> ModuleType:
    """manage.py as a module."""
    spec = importlib.util.spec_from_file_location("manage_under_test", env.BASE_DIR / "manage.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_old_python_gets_a_sentence(
    manage: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ast.parse((env.BASE_DIR / "manage.py").read_text(), feature_version=(3, 6))
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    monkeypatch.setattr(manage, "PYTHON_VERSION", "3.9.2")
    assert manage.main(["manage.py", "up"]) == 1
    assert "needs Python 3.11 or newer; this is 3.9.2" in capsys.readouterr().err


def test_bare_python_makes_the_environment_once_and_enters_it(checkout: Checkout) -> None:
    status, output = checkout.run("check", "--deploy")
    assert (status, output.count("making .venv")) == (0, 1), output
    assert output.endswith("ran check --deploy\n")
    started = time.monotonic()
    assert checkout.run("check") == (0, "ran check\n")
    assert time.monotonic() - started < 2


def test_pip_serves_where_uv_is_missing(checkout: Checkout) -> None:
    (Path(checkout.environment["PATH"].split(":")[0]) / "uv").unlink(missing_ok=True)
    status, output = checkout.run("check")
    assert status == 0, output
    assert output.endswith("ran check\n")


def test_changed_requirements_are_installed_in_place(checkout: Checkout) -> None:
    assert checkout.run("check")[0] == 0
    requirements = checkout.root / "requirements.txt"
    requirements.write_text(_wheel(Path(checkout.environment["PIP_FIND_LINKS"]), "django", "5.2.100", DJANGO_CODE))
    status, output = checkout.run("check")
    assert (status, output.count("making .venv"), output.count("installing requirements.txt")) == (0, 0, 1), output
    assert list(checkout.root.glob(".venv/lib/*/site-packages/django-5.2.100.dist-info"))
    assert checkout.run("check") == (0, "ran check\n")


def test_environment_of_another_python_is_made_anew(checkout: Checkout) -> None:
    assert checkout.run("check")[0] == 0
    stamp = next(checkout.root.glob(".venv/*.stamp"))
    stamp.write_text("3.11.0 " + stamp.read_text().split()[1] + "\n")
    (checkout.root / ".venv" / "left-over").touch()
    status, output = checkout.run("check")
    assert (status, output.count("making .venv")) == (0, 1), output
    assert not (checkout.root / ".venv" / "left-over").exists()


def test_kill_half_way_leaves_no_stamp_and_the_next_run_finishes(checkout: Checkout) -> None:
    programs = Path(checkout.environment["PATH"].split(":")[0])
    real = (programs / "uv").readlink() if (programs / "uv").exists() else None
    (programs / "uv").unlink(missing_ok=True)
    # An installer that writes a part and then hangs.
    (programs / "uv").write_text(f'#!/bin/sh\nmkdir -p "{checkout.root}/.venv/bin"\n[ "$1" = venv ] || sleep 60\n')
    (programs / "uv").chmod(0o755)
    process = checkout.start("check")
    deadline = time.monotonic() + 20
    while not (checkout.root / ".venv" / "bin").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not list(checkout.root.glob(".venv/*.stamp"))
    (programs / "uv").unlink()
    if real is not None:
        (programs / "uv").symlink_to(real)
    status, output = checkout.run("check")
    assert status == 0, output
    assert output.endswith("ran check\n")


def test_of_two_at_once_one_makes_it(checkout: Checkout) -> None:
    first, second = checkout.start("check"), checkout.start("check")
    outputs = [process.communicate(timeout=120)[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    assert sum(output.count("making .venv") for output in outputs) == 1
    assert all(output.endswith("ran check\n") for output in outputs)


def test_unfinished_environment_is_named_and_never_a_loop(checkout: Checkout) -> None:
    subprocess.run([BARE_PYTHON, "-m", "venv", "--without-pip", checkout.root / ".venv"], check=True)
    status, output = checkout.run("check", python=checkout.python)
    assert status == 1
    assert "Remove .venv" in output


def test_python_with_another_django_is_sent_to_ours(checkout: Checkout, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "django-4.2.1.dist-info").mkdir(parents=True)
    (other / "django-4.2.1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: Django\nVersion: 4.2.1\n")
    status, output = checkout.run("check", PYTHONPATH=str(other))
    assert status == 1
    assert f"has Django 4.2.1; guardsite needs 5.2. Use {checkout.python} manage.py" in output


def test_environment_with_our_django_is_used_as_it_is(checkout: Checkout, tmp_path: Path) -> None:
    own = tmp_path / "own"
    with zipfile.ZipFile(next(Path(checkout.environment["PIP_FIND_LINKS"]).glob("django-*"))) as archive:
        archive.extractall(own)
    assert checkout.run("check", PYTHONPATH=str(own)) == (0, "ran check\n")
    assert not (checkout.root / ".venv").exists()
    status, output = checkout.run("test", PYTHONPATH=str(own))
    assert status == 1
    assert "-m pip install -r requirements-dev.txt" in output


def test_neither_ensurepip_nor_uv_names_both(
    manage: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nothing(_name: str) -> None:
        return None

    missing: Callable[[str], bool] = lambda _name: False  # noqa: E731
    monkeypatch.setattr(manage.shutil, "which", nothing)
    monkeypatch.setattr(manage, "has_module", missing)
    with pytest.raises(SystemExit):
        manage.create()
    text = capsys.readouterr().err
    assert "apt install python3-venv" in text
    assert "uv" in text


def test_unreachable_index_shows_the_last_lines_and_how_to_name_another(checkout: Checkout) -> None:
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "UV_NO_INDEX", "UV_FIND_LINKS"):
        del checkout.environment[name]
    status, output = checkout.run("check", PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="0")
    assert status == 1
    assert "installing requirements.txt failed" in output
    assert "django" in output.lower()
    assert "PIP_INDEX_URL=https://... python3 manage.py check" in output
    assert not list(checkout.root.glob(".venv/*.stamp"))


def test_variables_that_send_an_installation_elsewhere_are_dropped(checkout: Checkout, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    status, output = checkout.run("check", PIP_USER="1", PIP_TARGET=str(elsewhere), PYTHONHOME=sys.base_prefix)
    assert status == 0, output
    assert output.endswith("ran check\n")
    assert not elsewhere.exists()


def test_wrong_hash_installs_nothing(checkout: Checkout) -> None:
    requirements = checkout.root / "requirements.txt"
    requirements.write_text(requirements.read_text().split("sha256:")[0] + "sha256:" + "0" * 64 + "\n")
    status, output = checkout.run("check")
    assert status == 1
    assert "failed" in output
    assert not list(checkout.root.glob(".venv/*.stamp"))


def test_test_command_adds_the_development_packages_and_becomes_pytest(checkout: Checkout) -> None:
    status, output = checkout.run("test", "tests/some", "-q")
    assert status == 0, output
    assert output.endswith(f"tests ran {checkout.root} tests/some -q\n")
    assert checkout.run("test", python=checkout.python) == (0, f"tests ran {checkout.root}\n")
