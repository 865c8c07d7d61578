"""The image, really built, and what is run in it: as its user, with its root read-only."""

import re
from collections.abc import Iterator

import pytest
import torch

from tests.infra.support import image
from tests.infra.support.image import Builder, Image
from tests.support import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(image.missing()), reason=image.missing())]

BAKED = "hub/checkpoints/vgg19-dcbb9e9d.pth"
"""Where torch's cache has torchvision's weights."""


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    with image.building(tmp_path_factory.mktemp("images")) as there:
        yield there


@pytest.fixture(scope="module")
def built(builder: Builder, tmp_path_factory: pytest.TempPathFactory) -> Image:
    weights = tmp_path_factory.mktemp("weights")
    (weights / BAKED).parent.mkdir(parents=True)
    torch.save({"features.0.weight": torch.zeros(1)}, weights / BAKED)
    return builder.image("nst", "--build-context", f"weights={weights}")


LOCK = (REPOSITORY / "infra" / "runtime.lock").read_text("utf-8")
CPU_BUILDS = {name: f"{version}+cpu" for name, version in re.findall(r"(?m)^(torch|torchvision)==(\S+)", LOCK)}
"""What the index of builds for CPUs calls them."""


@pytest.fixture(scope="module")
def for_cpus(builder: Builder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The image without CUDA. Builds of torch for CPUs are at an index that cannot be reached: stand-ins are."""
    with image.index_of_stand_ins(tmp_path_factory.mktemp("index"), CPU_BUILDS) as index:
        yield builder.image("nst-cpu", DEVICE="cpu", TORCH_CPU_INDEX=index)


@pytest.fixture(scope="module")
def with_torch_for_cpus(builder: Builder) -> Image:
    """The image without CUDA, with genuine builds of torch for CPUs."""
    dockerfile = (REPOSITORY / "infra" / "container" / "Dockerfile").read_text("utf-8")
    (index,) = re.findall(r"(?m)^ARG TORCH_CPU_INDEX=(\S+)", dockerfile)
    if reason := image.lacks(index, CPU_BUILDS):
        pytest.skip(reason)  # the one reason: all else has to work
    return builder.image("nst-cpu-genuine", DEVICE="cpu")


def test_it_is_what_its_dockerfile_says(built: Image) -> None:
    assert built.user == "1000:1000"
    assert "Healthcheck" in built.config
    assert built.run("id", "-un").stdout.strip() == "nst"
    refused = built.run("touch", "/opt/nst/x")
    assert "Read-only file system" in refused.stderr
    for tool in ("wget", "tini", "ray", "nst", "gcc", "pgrep"):
        assert built.run("sh", "-c", f"command -v {tool}").returncode == 0, tool
    in_a_login_shell = built.run("bash", "-lc", "command -v ray")
    assert in_a_login_shell.stdout.strip() == "/opt/nst/bin/ray"
    assert not (built.root / "build").exists()
    assert (built.root / "weights" / BAKED).exists()


def test_it_has_what_is_locked_and_no_more(built: Image) -> None:
    listed = built.run("/opt/nst/bin/pip", "list", "--format=freeze", "--disable-pip-version-check").stdout.split()
    assert [one for one in listed if one.startswith("nst-pipeline==")]
    assert not [one for one in listed if one.startswith(("pytest", "moto", "uv=", "mypy"))]
    assert built.run("/opt/nst/bin/pip", "check", "--disable-pip-version-check").returncode == 0


def test_weights_of_the_image_are_the_ones_that_are_looked_at(built: Image) -> None:
    looked = built.run("nst", "weights", "check", f"/weights/{BAKED}")
    assert "lack the bias of layer conv1_1" in looked.stderr
    loaded = built.run("python", "-c", "from nst_kernel import load_weights; load_weights('imagenet')")
    assert "WeightsError" in loaded.stderr  # found, and not torchvision's
    assert "cannot be fetched" not in loaded.stderr


STYLISE = """
import numpy as np, subprocess, sys
from PIL import Image
for name, seed in (("a", 1), ("b", 2)):
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(f"/tmp/{name}.png")
words = ["nst", "stylize", "/tmp/a.png", "/tmp/b.png", "-o", "/tmp/o.png", "--set", "size=64", "--set", "iterations=3"]
sys.exit(subprocess.run(words).returncode or Image.open("/tmp/o.png").size != (64, 64))
"""


@pytest.mark.parametrize("which", ["built", "with_torch_for_cpus"])
def test_it_works(which: str, request: pytest.FixtureRequest) -> None:
    """Its health check, the self-test, and a transfer."""
    there: Image = request.getfixturevalue(which)
    for command in (["nst-health"], ["nst", "selftest"], ["python3", "-c", STYLISE]):
        ended = there.run("env", "RAY_raylet_start_wait_time_s=300", *command)
        assert ended.returncode == 0, ended.stdout + ended.stderr


NODE = """
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN=0123456789abcdef0123456789abcdef RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=2
begin() {
    ray start --head --block --num-cpus 1 --port 0 --include-dashboard false > /tmp/node.log 2>&1 &
    for _ in $(seq 90); do grep -q 'runtime started' /tmp/node.log && nst-health && return; sleep 1; done
    cat /tmp/node.log
    exit 1
}
begin
nst-leave
! pgrep -x raylet || { echo "the node is still there"; exit 1; }
unhealthy() {
    for _ in $(seq 60); do nst-health || return 0; sleep 1; done
    echo "$1 is called healthy"
    exit 1
}
unhealthy "a node that has left"
begin
pkill -STOP -x raylet
unhealthy "a node that hangs"
echo "left, and found hanging"
"""


def test_a_node_in_it_is_healthy_and_leaves_in_order(built: Image) -> None:
    ended = built.run("bash", "-c", NODE, seconds=300)
    assert ended.stdout.strip().endswith("left, and found hanging"), ended.stdout + ended.stderr


def test_the_image_for_cpus_has_what_is_locked_and_nothing_of_cuda(for_cpus: Image, built: Image) -> None:
    def packages(of: Image) -> dict[str, str]:
        listed = of.run("/opt/nst/bin/pip", "list", "--format=freeze", "--disable-pip-version-check").stdout.split()
        return dict(one.split("==") for one in listed)

    ours, all_packages = packages(for_cpus), packages(built)
    assert {name: ours[name] for name in CPU_BUILDS} == CPU_BUILDS
    assert all(version.partition("+")[0] == all_packages[name] for name, version in CPU_BUILDS.items())
    rest = ours.keys() - CPU_BUILDS.keys()
    assert {name: ours[name] for name in rest} == {name: all_packages[name] for name in rest}
    lacking = all_packages.keys() - ours.keys()
    assert lacking
    assert [name for name in lacking if not name.startswith(("nvidia", "cuda", "triton"))] == []
    assert [name for name in ours if name.startswith(("nvidia", "cuda", "triton"))] == []
    assert for_cpus.run("sh", "-c", "command -v gcc").returncode != 0
    assert (for_cpus.user, for_cpus.variables) == (built.user, built.variables)


def test_a_node_in_the_image_for_cpus_is_healthy_and_leaves_in_order(for_cpus: Image) -> None:
    """What needs no torch runs: heads, and the pod that starts a night."""
    assert for_cpus.run("/usr/local/bin/nst-health").returncode == 0
    assert for_cpus.run("nst", "render", "kubernetes", "--as", "cluster").returncode == 0
    ended = for_cpus.run("bash", "-c", NODE, seconds=300)
    assert ended.stdout.strip().endswith("left, and found hanging"), ended.stdout + ended.stderr
