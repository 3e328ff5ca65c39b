"""`deploy/` runs the commands that `manage.py up` runs, so that neither ages alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from guardsite import env, processes
from guardsite.processes import Command

DEPLOY = env.BASE_DIR / "deploy"
COMMANDS = {
    "web": processes.web(),
    "worker": processes.worker(),
    "beat": processes.beat(Path("/state")),
    "notary": processes.notary(),
}
# What a deployment decides for itself: addresses, folders, who is trusted, the broker.
OWN = {"--host", "127.0.0.1", "--port", "8000", "--no-proxy-headers", "/state/beat"}


def _words(command: Command) -> list[str]:
    words = [word for word in command.arguments[1:] if word not in OWN and not word.startswith("--without-")]
    return [Path(word).name if word.endswith("manage.py") else word for word in words]


@pytest.mark.parametrize("name", COMMANDS)
def test_unit_and_container_run_the_command_of_up(name: str) -> None:
    unit = DEPLOY / "systemd" / ("guardsite-web@.service" if name == "web" else f"guardsite-{name}.service")
    compose = (DEPLOY / "compose.yaml").read_text()
    service = compose.split(f"\n  {name}:\n")[1].split("\n  ")
    container = "\n".join(line for line in service).split("depends_on")[0]
    for text in (unit.read_text(), container):
        missing = [word for word in _words(COMMANDS[name]) if word not in text.split()]
        assert missing == []
    for variable, value in COMMANDS[name].environment.items():
        if variable.startswith("GUARDSITE_"):
            assert f"{variable}={value}" in unit.read_text()


def test_example_variables_are_read_somewhere() -> None:
    sources = "".join(path.read_text() for path in (env.BASE_DIR / "guardsite").glob("*.py"))
    for path in DEPLOY.glob("*.env.example"):
        for line in path.read_text().splitlines():
            if line and not line.startswith("#"):
                assert line.partition("=")[0].removesuffix("_FILE") in sources, line
