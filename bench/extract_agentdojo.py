"""The frozen demo corpus, made again from its source: `reviews/demo/agentdojo_calls.jsonl` and the licence beside it.

AgentDojo (https://github.com/ethz-spylab/agentdojo, MIT) holds 97 user and 35 injection tasks in four suites. Each task
has ground-truth tool calls, so no model is needed to know what an agent that solves it would call.

It runs in its own environment, since agentdojo brings many packages that guardsite has no use for:

    uv venv /tmp/agentdojo && uv pip install --python /tmp/agentdojo agentdojo==0.1.35 rfc8785==0.1.4
    /tmp/agentdojo/bin/python bench/extract_agentdojo.py reviews/demo

One line per task, RFC 8785 JSON, ordered by suite, kind and number:
`{"calls": [{"args": {...}, "function": "read_file"}], "kind": "user", "prompt": "…", "suite": "…", "task": "…"}`
"""

import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Any

DISTRIBUTION = "agentdojo"
VERSION = "0.1.35"
BENCHMARK = "v1.2.2"
SUITES = ("banking", "slack", "travel", "workspace")
EXPECTED_USER_TASK_COUNT = 97
EXPECTED_INJECTION_TASK_COUNT = 35


def task_line(suite_name: str, *, task: Any, kind: str, environment: Any) -> dict[str, object]:
    """One task as plain JSON values. `Any`: agentdojo is not installed where this file is type-checked."""
    calls = []
    for call in task.ground_truth(environment):
        # A call within a call would be a placeholder that only agentdojo's own runtime fills in.
        args = json.loads(json.dumps(dict(call.args)))
        calls.append({"function": call.function, "args": args})
    prompt = task.PROMPT if kind == "user" else task.GOAL
    return {"suite": suite_name, "task": task.ID, "kind": kind, "prompt": prompt, "calls": calls}


def extract() -> list[dict[str, object]]:
    """Every task of the four suites, each computed on a fresh default environment without any injection."""
    from agentdojo.task_suite.load_suites import get_suites  # in its own environment only

    lines = []
    suites = get_suites(BENCHMARK)
    for suite_name in SUITES:
        suite = suites[suite_name]
        for kind, tasks in (("user", suite.user_tasks), ("injection", suite.injection_tasks)):
            for task_id in sorted(tasks, key=lambda name: int(name.rsplit("_", 1)[1])):
                environment = suite.load_and_inject_default_environment({})
                task = tasks[task_id]
                if kind == "user":
                    environment = task.init_environment(environment)
                lines.append(task_line(suite_name, task=task, kind=kind, environment=environment))
    return lines


def main() -> None:
    """Write the corpus and its licence into the directory named on the command line."""
    import rfc8785

    found = importlib.metadata.version(DISTRIBUTION)
    if found != VERSION:
        sys.exit(f"this extract is of {DISTRIBUTION} {VERSION}; {found} is installed")
    target = Path(sys.argv[1])
    lines = extract()
    counts = {kind: sum(line["kind"] == kind for line in lines) for kind in ("user", "injection")}
    if counts != {"user": EXPECTED_USER_TASK_COUNT, "injection": EXPECTED_INJECTION_TASK_COUNT}:
        sys.exit(f"expected 97 user and 35 injection tasks, found {counts}")
    (target / "agentdojo_calls.jsonl").write_bytes(b"".join(rfc8785.dumps(line) + b"\n" for line in lines))
    files = importlib.metadata.files(DISTRIBUTION) or []
    licence = next(file for file in files if file.name == "LICENSE")
    (target / "LICENSE.agentdojo").write_text(licence.read_text())
    call_count = sum(len(line["calls"]) for line in lines if isinstance(line["calls"], list))
    print(f"{len(lines)} tasks, {call_count} calls")


if __name__ == "__main__":
    main()
