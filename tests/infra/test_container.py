"""The image: what its Dockerfile promises, line by line."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from pipeline.cluster.connection import HEALTH_CHECKS, KEPT_WORKERS
from tests.infra.support import image
from tests.infra.support.dockerfile import CONTAINER, Instruction, ignored, parse, rules_of
from tests.support import REPOSITORY

DOCKERFILE = parse((CONTAINER / "Dockerfile").read_text("utf-8"))
IGNORED = rules_of(REPOSITORY / ".dockerignore")
HADOLINT = Path(sys.executable).parent / "hadolint"


def all_of(word: str, stage: str | None = None) -> list[Instruction]:
    return [one for one in DOCKERFILE if one.word == word and stage in (None, one.stage)]


def environment() -> dict[str, str]:
    """What the image has in its environment."""
    return dict(pair.split("=", 1) for one in all_of("ENV", "image") for pair in one.text.split())


def without_cuda() -> ModuleType:
    spec = importlib.util.spec_from_file_location("without_cuda", CONTAINER / "without_cuda.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_linter_finds_nothing() -> None:
    found = subprocess.run([HADOLINT, CONTAINER / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (found.stdout, found.returncode) == ("", 0)


def test_the_distribution_and_the_device_are_arguments() -> None:
    assert [one.text.partition("=")[0] for one in DOCKERFILE[:1]] == ["BASE"]
    assert [one.text for one in all_of("FROM") if "$" in one.text] == ["${BASE} AS python"]
    devices = {one.stage for one in all_of("ARG") if one.text == "DEVICE=cuda"}
    assert devices == {"packages", "image"}  # an argument holds in its stage alone


def test_nothing_runs_as_root_or_is_written_outside_of_the_volume() -> None:
    last = all_of("USER", "image")[-1]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last.text)  # a number: runAsNonRoot cannot judge a name
    assert all(one.word in ("USER", "HEALTHCHECK", "ENTRYPOINT", "CMD") for one in DOCKERFILE[DOCKERFILE.index(last) :])
    assert [one.text for one in all_of("VOLUME")] == ["/tmp"]
    assert all_of("WORKDIR", "image")[-1].text == "/tmp"
    assert environment()["HOME"].startswith("/tmp/")
    assert environment()["PYTHONDONTWRITEBYTECODE"] == "1"


def test_signals_arrive_and_health_is_asked_for() -> None:
    assert all_of("ENTRYPOINT")[0].listed[-1] == "nst"
    assert all_of("ENTRYPOINT")[0].listed[0].endswith("tini")
    (health,) = all_of("HEALTHCHECK", "image")
    assert health.listed == ["/usr/local/bin/nst-health"]


def test_what_scripts_and_nodes_call_is_installed() -> None:
    (first,) = [one.text for one in all_of("RUN", "python")]
    installed = first.split("--no-install-recommends ")[1].split(" && ")[0].split()
    # wget: nst-health and the operator's probes. procps: nst-leave. tini: the entry point.
    assert {"ca-certificates", "procps", "python3", "python3-venv", "tini", "wget"} <= set(installed)
    (compiler,) = [one.text for one in all_of("RUN", "image") if "gcc" in one.text]
    assert compiler.startswith('if [ "${DEVICE}" = cuda ]; then')
    assert {"gcc", "libc6-dev", "python3-dev"} <= set(compiler.split())
    assert {"/opt/nst", "/weights/"} <= {one.text.split()[-1] for one in all_of("COPY", "image")}
    assert "/etc/profile.d/nst.sh" in {one.text.split()[-1] for one in all_of("COPY", "image")}
    (scripts,) = [one.text for one in all_of("COPY", "image") if "nst-leave" in one.text]
    assert scripts.split() == [
        "--chmod=755",
        *(f"infra/container/nst-{name}" for name in ("health", "leave")),
        "/usr/local/bin/",
    ]


def test_the_environment_is_at_home_on_a_read_only_root() -> None:
    found = environment()
    assert found["PATH"].startswith("/opt/nst/bin:")
    assert found["TORCH_HOME"] == "/weights"  # where weights are baked in, or mounted
    assert (found["PYTHONUNBUFFERED"], found["RAY_USAGE_STATS_ENABLED"]) == ("1", "0")
    (user,) = [one.text for one in all_of("RUN", "image") if "useradd" in one.text]
    for part in ("--gid 1000", "--uid 1000", "--home-dir /tmp/nst", "mkdir /etc/nst /weights"):
        assert part in user


def test_a_device_that_there_is_not_is_refused(tmp_path: Path) -> None:
    """The choice of packages by DEVICE, with stand-ins for Python and pip, which note how they are called."""
    (chosen,) = [one.text for one in all_of("RUN", "packages")]
    for name in ("python3", "pip"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@"\n')
        (tmp_path / name).chmod(0o755)
    command = chosen.replace("/opt/nst/bin/", "")
    said = {}
    for device in ("cuda", "cpu", "rocm"):
        told = {"PATH": f"{tmp_path}:/usr/bin:/bin", "DEVICE": device, "TORCH_CPU_INDEX": "https://index"}
        said[device] = subprocess.run(["sh", "-c", command], env=told, capture_output=True, text=True, check=False)
    made = "python3 -m venv /opt/nst"
    install = "pip install --no-cache-dir --no-deps"
    assert said["cuda"].stdout.splitlines() == [made, f"{install} --require-hashes -r runtime.lock"]
    assert said["cpu"].stdout.splitlines() == [
        made,
        "python3 without_cuda.py runtime.lock locked.txt torch.txt",
        f"{install} --require-hashes -r locked.txt",
        f"{install} --index-url https://index -r torch.txt",
    ]
    assert said["rocm"].returncode == 1
    assert "DEVICE=rocm: expected cuda or cpu" in said["rocm"].stderr


def test_layers_stand_in_the_order_of_how_seldom_they_change() -> None:
    (packages, project) = (
        next(n for n, one in enumerate(DOCKERFILE) if name in one.copied) for name in ("infra/runtime.lock", "pipeline")
    )
    installs = next(n for n, one in enumerate(DOCKERFILE) if "--require-hashes" in one.text)
    assert packages < installs < project
    image = [one.text for one in DOCKERFILE if one.stage == "image"]
    order = [next(n for n, text in enumerate(image) if part in text) for part in ("apt-get", "from=packages", "*.whl")]
    assert order == sorted(order)
    assert not [one for one in all_of("COPY", "image") if {"jobs", "pipeline", "nst_kernel"} & {*one.copied}]


def test_packages_are_those_of_the_lock() -> None:
    for one in all_of("RUN"):
        for command in re.findall(r"pip install[^;&]*", one.text):
            assert "--require-hashes" in command or "--no-index" in command or "TORCH_CPU_INDEX" in command, command
            assert "--no-deps" in command


def test_what_is_sent_to_a_build_is_what_it_copies() -> None:
    copied = [name for one in all_of("COPY") for name in one.copied]
    assert [name for name in copied if not (REPOSITORY / name).exists()] == []
    assert [name for name in copied if ignored(name, IGNORED)] == []
    assert sorted(rule[1:] for rule in IGNORED if rule.startswith("!")) == sorted(copied)
    for name in (
        ".git/config",
        ".venv/bin/nst",
        "tests/conftest.py",
        "jobs/__pycache__/cli.pyc",
        "key.pem",
        "demo/a.png",
    ):
        assert ignored(name, IGNORED), name
    assert not ignored("nst_kernel/encoder/embedded/vgg19_kmeans.safetensors", IGNORED)


def test_packages_of_the_distribution_leave_no_lists() -> None:
    for one in all_of("RUN"):
        if "apt-get install" in one.text:
            assert "--no-install-recommends" in one.text
            assert "rm -rf /var/lib/apt/lists/*" in one.text


def test_nodes_are_noticed_when_they_die_as_on_clusters_that_nst_starts() -> None:
    assert environment().items() >= (HEALTH_CHECKS | KEPT_WORKERS).items()


def test_gpus_are_seen_by_whom_they_are_given() -> None:
    assert "NVIDIA_VISIBLE_DEVICES" not in environment()  # else a head without GPUs would offer all of its machine's
    assert environment()["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility"


def test_what_a_copy_in_a_dockerfile_takes_is_seen() -> None:
    text = "ARG A=1\nFROM x AS one\nCOPY --chmod=755 a \\\n    b /c/\nCOPY --from=y d /e\n"
    assert [(one.word, one.stage, one.copied) for one in parse(text)][2:] == [
        ("COPY", "one", ["a", "b"]),
        ("COPY", "one", []),
    ]


def test_the_lock_without_cuda_has_all_else() -> None:
    lock = (REPOSITORY / "infra" / "runtime.lock").read_text("utf-8")
    stays, replaced = without_cuda().split(lock)
    names = {
        name: set(re.findall(r"(?m)^([A-Za-z0-9][^\s=]*)==", text)) for name, text in (("all", lock), ("stays", stays))
    }
    gone = names["all"] - names["stays"]
    assert {"torch", "torchvision", "triton"} < gone
    assert all(re.match(r"nvidia-|cuda-|triton$|torch", name) for name in gone)
    assert re.fullmatch(r"torch==\S+\ntorchvision==\S+\n", replaced)
    blocks = re.split(r"(?m)^(?=[A-Za-z0-9])", stays)
    assert [block for block in blocks if block.strip() and "--hash=sha256:" not in block] == []


def test_scripts_are_understood_by_a_plain_shell() -> None:
    for name in ("nst-health", "nst-leave", "profile.sh"):
        subprocess.run(["sh", "-n", CONTAINER / name], check=True)
    assert all((CONTAINER / name).stat().st_mode & 0o111 for name in ("nst-health", "nst-leave"))


def test_what_an_index_lacks_is_told(tmp_path: Path) -> None:
    """It is the one reason for which the image for CPUs is not tried."""
    with image.index_of_stand_ins(tmp_path, {"torch": "2.15.0+cpu"}) as index:
        assert image.lacks(index, {"torch": "2.15.0+cpu"}) == ""
        assert image.lacks(index, {"torch": "2.15.1+cpu"}) == f"{index} has no torch 2.15.1+cpu"
    assert image.lacks(index, {"torch": "2.15.0+cpu"}).startswith(f"{index} cannot be reached")
