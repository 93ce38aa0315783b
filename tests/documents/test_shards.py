"""docs/shards.md: each script and manifest is run as a scheduler would, against a real server."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # its types are one more package
from jsonschema import Draft202012Validator

from asyncsync.shards import Shard
from tests import ROOT
from tests.rigs.bucket import Bucket
from tests.rigs.objects import readable_parquet
from tests.rigs.watch import tree

EXAMPLES = ROOT / "examples"
DOCUMENT = (ROOT / "docs/shards.md").read_text(encoding="utf-8")
MANIFEST: Mapping[str, Any] = yaml.safe_load((EXAMPLES / "kubernetes-job.yaml").read_text())
SCHEMA = Path(__file__).parent / "kubernetes/job.schema.json"
KEYS = [f"1hz/2026/01/{number:02d} a.parquet" for number in range(12)]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the scripts are of POSIX shells")


@pytest.fixture
def settings(bucket: Bucket, tmp_path: Path) -> Mapping[str, str]:
    """The environment of a task: a bucket with objects, and asyncsync on the path."""
    bucket.put_many(dict.fromkeys(KEYS, readable_parquet()))
    (tmp_path / "bin").mkdir()
    path = f"{tmp_path / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, **bucket.server.environment(), "PATH": path}


def called(
    command: Sequence[str], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def files(dest: Path) -> set[str]:
    return {*tree(dest)} if dest.exists() else set()


def own(number: int, count: int) -> set[str]:
    return {key for key in KEYS if Shard(number, count).has(key)}


# Slurm ------------------------------------------------------------------------------------------

TASKS = {
    "1-3": [(n, 1, 3) for n in (1, 2, 3)],
    "0-2": [(n, 0, 3) for n in (0, 1, 2)],
    "7-9": [(n, 7, 3) for n in (7, 8, 9)],
    "5": [(5, 5, 1)],
}
"""Job arrays: the number of each task, the lowest number, and how many there are."""


def slurm(
    settings: Mapping[str, str], task: tuple[int, int, int], **more: str
) -> Mapping[str, str]:
    number, lowest, count = task
    return {
        **settings,
        "SLURM_ARRAY_JOB_ID": "1234",
        "SLURM_ARRAY_TASK_ID": str(number),
        "SLURM_ARRAY_TASK_MIN": str(lowest),
        "SLURM_ARRAY_TASK_COUNT": str(count),
        **more,
    }


@pytest.mark.parametrize("array", TASKS)
def test_tasks_of_a_slurm_array_make_the_whole(
    settings: Mapping[str, str], tmp_path: Path, array: str
) -> None:
    """Each fetches the shard of its place, however the tasks are numbered."""
    dest, here = tmp_path / "my data", set[str]()
    for place, task in enumerate(TASKS[array], start=1):
        script = [str(EXAMPLES / "slurm-array.sh"), "--dest", str(dest)]
        done = called(script, slurm(settings, task))
        assert done.returncode == 0, done.stderr
        here |= own(place, len(TASKS[array])) if len(TASKS[array]) > 1 else {*KEYS}
        assert files(dest) == here
    assert here == {*KEYS}


def test_part_of_a_slurm_array_is_run_again_with_the_count_of_the_whole(
    settings: Mapping[str, str], tmp_path: Path
) -> None:
    """Without it, the tasks would be taken for others: that is refused, if it is not the whole."""
    dest = tmp_path / "dest"
    script = [str(EXAMPLES / "slurm-array.sh"), "--dest", str(dest)]
    for number in (3, 5):
        task = (number, 3, 2)
        done = called(script, slurm(settings, task, SHARDS="5"))
        assert done.returncode == 0
    assert files(dest) == own(3, 5) | own(5, 5)
    done = called(script, slurm(settings, (5, 3, 2)))
    assert done.returncode == 2
    assert "3/2 is no shard" in done.stderr


@pytest.mark.parametrize(("restarts", "requeues"), [("", True), ("2", True), ("3", False)])
def test_task_that_may_succeed_later_is_requeued(
    settings: Mapping[str, str], tmp_path: Path, restarts: str, requeues: bool
) -> None:
    """A few times; one with a wrong setting never is."""
    scontrol = tmp_path / "bin/scontrol"
    scontrol.write_text('#!/bin/sh\necho "$@" >> asked\n')
    scontrol.chmod(0o755)
    refused = {"R2_ENDPOINT_URL": "http://127.0.0.1:9", "ASYNCSYNC_ATTEMPTS": "1"}
    more = {"SLURM_RESTART_COUNT": restarts} if restarts else {}
    script = [str(EXAMPLES / "slurm-array.sh")]
    done = called(script, slurm(settings, (2, 1, 3), **refused, **more))
    assert done.returncode == 4
    asked = Path("asked")
    assert asked.exists() == requeues
    if requeues:
        assert asked.read_text() == "requeue 1234_2\n"
        asked.unlink()
    assert called(script, slurm(settings, (2, 1, 3), R2_BUCKET="")).returncode == 2
    assert not asked.exists()


# Kubernetes -------------------------------------------------------------------------------------


def pod(manifest: Mapping[str, Any] = MANIFEST) -> Mapping[str, Any]:
    [container] = manifest["spec"]["template"]["spec"]["containers"]
    assert isinstance(container, dict)
    return container


def test_manifest_is_a_job_of_kubernetes() -> None:
    """By the schema of Kubernetes, which knows no field that is misspelled."""
    validator = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert [*validator.iter_errors(MANIFEST)] == []
    wrong = json.loads(json.dumps(MANIFEST))
    wrong["spec"]["completionmode"] = wrong["spec"].pop("completionMode")
    wrong["spec"]["parallelism"] = "8"
    assert len([*validator.iter_errors(wrong)]) >= 2


def test_manifest_agrees_with_itself() -> None:
    """Its shards are as many as its indexes, and its rules name its container."""
    spec = MANIFEST["spec"]
    [shards] = [each["value"] for each in pod()["env"] if each["name"] == "SHARDS"]
    assert shards == str(spec["completions"])
    assert spec["completionMode"] == "Indexed"  # which backoffLimitPerIndex and FailIndex want
    assert spec["template"]["spec"]["restartPolicy"] == "Never"  # which podFailurePolicy wants
    [codes] = [rule["onExitCodes"] for rule in spec["podFailurePolicy"]["rules"][1:]]
    assert codes["containerName"] == pod()["name"]
    volumes = {each["name"] for each in spec["template"]["spec"]["volumes"]}
    assert {each["name"] for each in pod()["volumeMounts"]} == volumes


def test_indexes_of_a_kubernetes_job_make_the_whole(
    settings: Mapping[str, str], tmp_path: Path
) -> None:
    """The command of the manifest is run as it stands there, for each index."""
    variables = {each["name"]: each["value"] for each in pod()["env"]}
    dest = Path(variables["ASYNCSYNC_DEST"].replace("/data", str(tmp_path)))
    count, here = MANIFEST["spec"]["completions"], set[str]()
    *shell, command = pod()["command"]
    image = (EXAMPLES / "Dockerfile").read_text(encoding="utf-8")
    program = re.findall(r"/\S+/asyncsync\b", command)[0]
    assert f'ENTRYPOINT ["{program}"]' in image
    command = command.replace(program, "asyncsync")
    for index in range(count):
        environment = {**settings, **variables, "ASYNCSYNC_DEST": str(dest)}
        done = called([*shell, command], {**environment, "JOB_COMPLETION_INDEX": str(index)})
        assert done.returncode == 0, done.stderr
        here |= own(index + 1, count)
        assert files(dest) == here
    assert here == {*KEYS}


# xargs and GNU parallel -------------------------------------------------------------------------

SCRIPTS = ["shards-xargs.sh", "shards-parallel.sh"]


@pytest.fixture(params=SCRIPTS)
def script(request: pytest.FixtureRequest) -> str:
    if "parallel" in request.param and not shutil.which("parallel"):
        pytest.skip("GNU parallel is not installed")
    return str(EXAMPLES / request.param)


def test_script_runs_all_shards(settings: Mapping[str, str], tmp_path: Path, script: str) -> None:
    """Some at the same time; its arguments reach each as they are."""
    dest = tmp_path / "my 'data' *"
    done = called([script, "5", "--dest", str(dest)], settings)
    assert done.returncode == 0, done.stderr
    assert files(dest) == {*KEYS}
    states = dest / ".asyncsync" / str(os.geteuid()) / "shards"
    assert {path.name for path in states.iterdir()} <= {f"{n}-of-5" for n in range(1, 6)}
    assert len([*states.iterdir()]) >= 2


def test_script_fails_if_a_shard_does(
    settings: Mapping[str, str], tmp_path: Path, script: str
) -> None:
    """And the others are done."""
    [first] = sorted(own(1, 3))[:1]
    dest = tmp_path / "dest"
    (dest / first).mkdir(parents=True)
    (dest / first / "in the way").touch()
    done = called([script, "3", "--dest", str(dest)], settings)
    assert done.returncode == (123 if "xargs" in script else 1)
    assert files(dest) == {*KEYS} - {first} | {f"{first}/in the way"}


def test_page_names_each_example() -> None:
    """And nothing that is not there."""
    named = set(re.findall(r"\.\./examples/([\w.-]+)", DOCUMENT))
    assert named == {*SCRIPTS, "slurm-array.sh", "kubernetes-job.yaml", "Dockerfile"}
    assert all((EXAMPLES / name).exists() for name in named)
