"""Any image in every target: tiny images of a static busybox, as layers and as a machine's disk."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lab import targets
from lab.errors import TargetFailed
from lab.experiments import density, profiles
from lab.host.scratch import scratch_directory
from lab.measurement import image_trial
from lab.paths import cache_directory
from lab.targets.base import Settings
from lab.targets.worker import Worker
from lab.userland import build, guest_kernel, image_land, image_source, kvm_probe
from runtime.images.imported import import_archive
from runtime.images.manifest import Execution, Healthcheck
from runtime.images.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.host.kvm import Accelerator
    from lab.targets.base import Target

BUSYBOX = shutil.which("busybox")
IS_STATIC = BUSYBOX is not None and b"ld-linux" not in Path(BUSYBOX).read_bytes()[:4096]
pytestmark = [
    pytest.mark.root,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not IS_STATIC, reason="busybox-static is not installed"),
]
SECOND = 1_000_000_000
CONTAINERS = ("container", "crun", "runc", "podman", "docker")
# What the server writes shows its user, its variables and its directory, and that it can log.
SERVER = (
    "echo log >/dev/stdout && logs=yes;"
    ' echo "$WORD $(id -u):$(id -g) $(pwd) $logs" >/srv/index.html;'
    " exec httpd -f -p 8080 -h /srv"
)
PAGE = "hello 7:8 /srv yes\n"


def tar(extra: dict[str, bytes]) -> io.BytesIO:
    """Return an archive of a root file system with busybox, a user, links, modes and owners."""
    assert BUSYBOX
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, mode, uid in (("bin", 0o755, 0), ("etc", 0o755, 0), ("srv", 0o755, 7),
                                ("tmp", 0o1777, 0)):  # fmt: skip
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode, folder.uid = tarfile.DIRTYPE, mode, uid
            archive.addfile(folder)
        archive.add(BUSYBOX, "bin/busybox")
        for applet in ("sh", "httpd", "id", "sleep", "true", "wget", "test", "cat", "pwd"):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
        hard = tarfile.TarInfo("bin/busybox2")
        hard.type, hard.linkname, hard.mode = tarfile.LNKTYPE, "bin/busybox", 0o755
        archive.addfile(hard)
        files = {
            "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nweb:x:7:8:web:/srv:/bin/sh\n",
            "etc/group": b"root:x:0:\nweb:x:8:\n",
            **extra,
        }
        for name, content in files.items():
            file = tarfile.TarInfo(name)
            file.size, file.mode = len(content), 0o640
            archive.addfile(file, io.BytesIO(content))
    packed.seek(0)
    return packed


def bare_tar() -> io.BytesIO:
    assert BUSYBOX
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(BUSYBOX, "busybox")
    packed.seek(0)
    return packed


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    """A store with a server, one with a health check, and commands that end."""
    directory = cache_directory() / f"test-images-{os.getpid()}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TONNAGE_IMAGES", str(directory))
        store = Store(directory, "fast")
        common: dict[str, Any] = {"env": ["WORD=hello", "PATH=/bin"], "working_dir": "/srv"}
        server = Execution(
            entrypoint=["/bin/sh", "-c"], cmd=[SERVER], user="web",
            exposed_ports={"53/udp": {}, "8080/tcp": {}}, **common,
        )  # fmt: skip
        check = Healthcheck(
            test=["CMD-SHELL", 'test "$(cat /srv/state)" = "up $(id -u)"'],
            interval=SECOND // 50, timeout=5 * SECOND, retries=500,
        )  # fmt: skip
        checked = Execution(
            cmd=["sh", "-c", "sleep 0.2; echo up $(id -u) >/srv/state; exec sleep 600"],
            user="7:8", healthcheck=check, exposed_ports={"9/tcp": {}}, **common,
        )  # fmt: skip
        for name, execution in {
            "server": server,
            "checked": checked,
            "once": Execution(cmd=["sh", "-c", "test $WORD = hello"], **common),
            "three": Execution(cmd=["sh", "-c", "exit 3"], **common),
            "silent": Execution(cmd=["sleep", "600"], exposed_ports={"81": {}}, **common),
        }.items():
            import_archive(store, tar({}), [f"docker.io/library/{name}:1"], execution)
        # A single static program, as in an image from scratch: no shell, no directories.
        bare = Execution(entrypoint=["/busybox", "httpd", "-f", "-p", "80"],
                         exposed_ports={"80/tcp": {}})  # fmt: skip
        import_archive(store, bare_tar(), ["docker.io/library/bare:1"], bare)
        yield store
    shutil.rmtree(directory)


def tonnage(*words: str, timeout: float = 400) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lab", *words],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip


def present(*names: str) -> list[str]:
    return [name for name in names if not targets.find(name).absent()]


def measure(
    path: Path, reference: str, names: list[str], *options: str
) -> tuple[dict[tuple[str, str], Any], dict[str, Any], str]:
    """Measure startup once; return the medians, run.json, and what was printed."""
    result = tonnage(
        "run", "startup", "--image", reference, "--targets", ",".join(names), "--rounds", "1",
        "--format", "json", "--out", str(path), "--wait", *options,
    )  # fmt: skip
    assert result.returncode in (0, 1), result.stderr
    document = json.loads(result.stdout)
    medians = {(m["target"], m["metric"]): m["median"] for m in document["measurements"]}
    settings = json.loads((path / "run.json").read_text())
    return medians, settings, result.stderr


def land_of(store: Store, reference: str, stack: ExitStack) -> image_land.ImageLand:
    found = stack.enter_context(image_source.found(reference, print, store))
    return image_land.build_image_land(build.build(print), *found, reference, 60.0, print)


def test_a_server_is_measured_in_every_container_and_machine(store: Store, tmp_path: Path) -> None:
    names = present(*CONTAINERS, "microvm")
    medians, settings, printed = measure(tmp_path / "run", "server:1", names)
    assert settings["failures"] == []
    for name in names:
        assert 0 < medians[name, "first-instruction"] < medians[name, "ready"], name
        assert medians[name, "gone"] > 0
    image = store.image("docker.io/library/server:1")
    assert settings["image"]["digest"] == settings["image_digest"] == image.descriptor.digest
    assert settings["image"]["reference"] == "server:1"
    assert settings["image"]["ready_by"] == "port"
    assert "server:1 is ready when TCP port 8080 answers" in printed


def test_a_health_check_runs_as_the_images_user(store: Store, tmp_path: Path) -> None:
    names = present("container", "crun", "podman")
    medians, settings, _ = measure(tmp_path / "run", "checked:1", names)
    assert settings["failures"] == []
    assert settings["image"]["ready_by"] == "health check"
    for name in names:
        assert medians[name, "ready"] - medians[name, "first-instruction"] > 0.2, name


def test_a_command_that_ends_is_ready_by_its_end(store: Store, tmp_path: Path) -> None:
    names = present("container", "runc", "microvm")
    medians, settings, _ = measure(tmp_path / "run", "once:1", names)
    assert settings["failures"] == []
    assert settings["image"]["ready"] == "its command ends"
    assert all(medians[name, "ready"] > 0 for name in names)
    refused = tonnage("run", "density", "--image", "once:1", "--targets", "container", "--wait")
    assert refused.returncode == 2
    assert "ends by itself, so density can't measure it" in refused.stderr


def test_a_port_that_never_answers_is_a_failed_start(store: Store, tmp_path: Path) -> None:
    names = present("container", "crun")
    medians, settings, _ = measure(tmp_path / "run", "silent:1", names, "--ready-timeout", "1")
    assert {(name, "ready") for name in names}.isdisjoint(
        key for key, median in medians.items() if median is not None
    )
    assert len(settings["failures"]) == len(names)
    for failure in settings["failures"]:
        assert "was not ready within 1 s (TCP port 81 answers)" in failure


def test_a_resumed_run_and_a_comparison_keep_to_the_image(store: Store, tmp_path: Path) -> None:
    measure(tmp_path / "a", "server:1", ["container"])
    measure(tmp_path / "b", "checked:1", ["container"])
    compared = tonnage("compare", str(tmp_path / "a"), str(tmp_path / "b"))
    assert compared.returncode == 2
    assert "differ in image digest" in compared.stderr
    run = tmp_path / "a" / "run.json"
    settings = json.loads(run.read_text())
    digest = settings["image"]["digest"]
    settings["interrupted"] = True
    settings["image"]["digest"] = f"sha256:{'0' * 64}"
    run.write_text(json.dumps(settings))
    changed = tonnage("run", "--resume", str(tmp_path / "a"), "--wait")
    assert changed.returncode == 2
    assert "its image's digest was sha256:000" in changed.stderr
    settings["image"]["digest"] = digest
    run.write_text(json.dumps(settings))
    resumed = tonnage("run", "--resume", str(tmp_path / "a"), "--wait")
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(run.read_text())["image"]["reference"] == "server:1"


def page_of(target: Target) -> bytes:
    """Return the server's page, fetched inside an instance; called in a worker."""
    with target.start() as instance:
        instance.reached("ready")
        words = ["/bin/wget", "-q", "-O", "-", "http://127.0.0.1:8080/index.html"]
        result = instance.run(words, 30)
        assert not result.exit_code, result.stderr
        assert len(instance.pids()) >= (1 if target.kind == "machine" else 2)
        return result.stdout


@pytest.mark.parametrize("name", [*CONTAINERS, "microvm", "vm"])
def test_user_variables_and_directory_are_the_images(store: Store, name: str) -> None:
    if why := targets.find(name).absent():
        pytest.skip(why)
    with ExitStack() as stack:
        land = land_of(store, "server:1", stack)
        scratch = stack.enter_context(scratch_directory())
        worker = stack.enter_context(Worker(name, Settings(land, scratch, accelerator())))
        assert worker.call(200, page_of).decode() == PAGE


def accelerator() -> Accelerator:
    return kvm_probe.accelerator(lambda _: None)


def test_density_fills_with_an_image_and_every_instance_answers(store: Store) -> None:
    quick = profiles.PROFILES["quick"]
    small = replace(quick, density=replace(quick.density, containers=20, machines=2))
    with ExitStack() as stack:
        land = land_of(store, "server:1", stack)
        scratch = stack.enter_context(scratch_directory())
        worker = stack.enter_context(Worker("container", Settings(land, scratch, "tcg")))
        samples = density.measure(worker, 0, small, lambda _: None)
    by_metric = {sample.metric: sample.value for sample in samples}
    assert by_metric["running"] == by_metric["answering"] == 20


def test_footprint_counts_the_application(store: Store, tmp_path: Path) -> None:
    result = tonnage(
        "run", "footprint", "--image", "server:1", "--targets", "container", "--rounds", "1",
        "--format", "json", "--out", str(tmp_path / "run"), "--wait",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    figures = {m["metric"]: m["median"] for m in json.loads(result.stdout)["measurements"]}
    assert BUSYBOX
    assert figures["image-on-disk"] >= Path(BUSYBOX).stat().st_size
    assert figures["processes-inside"] == 2  # the payload and the server
    assert figures["own-kernel"] == 0
    assert figures["move"] > 0
    assert "page-cache-again" not in figures


def test_an_image_without_a_shell_and_directories_runs_and_is_isolated(
    store: Store, tmp_path: Path
) -> None:
    names = present("container", "crun", "microvm")
    medians, settings, _ = measure(tmp_path / "run", "bare:1", names)
    assert settings["failures"] == []
    assert all(medians[name, "ready"] > 0 for name in names)
    result = tonnage(
        "run", "isolation", "--image", "bare:1", "--targets", "container", "--rounds", "1",
        "--format", "json", "--out", str(tmp_path / "isolation"), "--wait", timeout=550,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    figures = {m["metric"]: m["median"] for m in json.loads(result.stdout)["measurements"]}
    assert {"beside-cpu", "beside-memory", "beside-forks", "beside-disk"} <= set(figures)
    assert figures["neighbours-seen"] == 0
    assert 0.3 < figures["cpus-granted"] < 0.8
    assert 128 << 20 <= figures["memory-granted"] <= 256 << 20
    assert 50 <= figures["processes-granted"] < 64


def test_a_trial_finds_a_command_that_fails(store: Store) -> None:
    with ExitStack() as stack:
        land = land_of(store, "three:1", stack)
        with pytest.raises(TargetFailed, match="command of three:1 ended with exit code 3"):
            image_trial.with_readiness(land, print)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("run", "startup", "--image", "127.0.0.1:1/none:1"), "The store has no image"),
        (("run", "performance", "--image", "server:1"), "performance can't measure an image"),
        (("run", "startup", "--image", "server:1", "--targets", "native"), "it can't run an image"),
        (("run", "startup", "--image", "server:1", "--targets", "uml"), "it can't run an image"),
        (("run", "startup", "--image", " "), "the reference is empty"),
        (("image", "disk", "server:1", "--size", "1M"), "too small for server:1"),
        (("image", "disk", "127.0.0.1:1/none:1"), "The store has no image"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...],
    sentence: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    waiting = ("--wait",) if words[0] == "run" else ()
    result = tonnage(*words, *waiting)
    assert result.returncode == 2, result.stderr
    assert sentence in result.stderr
    assert list(tmp_path.iterdir()) == []


def digests(root: Path) -> dict[str, tuple[object, ...]]:
    """Return type, permissions, owner, and content or target of everything below a directory."""
    found: dict[str, tuple[object, ...]] = {}
    for folder, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = Path(folder, name)
            status = path.lstat()
            content = ""
            if stat.S_ISLNK(status.st_mode):
                content = str(path.readlink())
            elif stat.S_ISREG(status.st_mode):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path.relative_to(root))] = (
                stat.filemode(status.st_mode & ~0o7000), status.st_uid, status.st_gid, content,
            )  # fmt: skip
    return found


@pytest.mark.parametrize("suffix", ["img", "qcow2"])
def test_the_disk_has_every_file_of_the_image_and_its_command(
    store: Store, tmp_path: Path, suffix: str
) -> None:
    if not shutil.which("debugfs"):
        pytest.skip("debugfs is not installed")
    output = tmp_path / f"server.{suffix}"
    result = tonnage("image", "disk", "server:1", "-o", str(output))
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{output}\n"
    again = tonnage("image", "disk", "server:1", "-o", str(output))
    assert again.returncode == 2
    assert "exists: remove it" in again.stderr
    raw = tmp_path / "plain"
    if suffix == "qcow2":
        subprocess.run(["qemu-img", "convert", "-O", "raw", output, raw], check=True)
    else:
        output.rename(raw)
    tree = tmp_path / "tree"
    tree.mkdir()
    subprocess.run(["debugfs", "-R", f"rdump / {tree}", str(raw)], capture_output=True, check=True)
    shutil.rmtree(tree / "lost+found")
    words = (tree / ".tonnage/application").read_bytes().split(b"\0")
    assert words[-4:] == [b"/bin/sh", b"-c", SERVER.encode(), b""]
    shutil.rmtree(tree / ".tonnage")
    image = store.image("docker.io/library/server:1")
    (layer,) = store.snapshots.layers(image.chain_ids)
    assert digests(tree) == digests(layer)
    looked = subprocess.run(
        ["debugfs", "-R", "stat /tmp", str(raw)], capture_output=True, text=True, check=True
    )
    assert "Mode:  01777" in looked.stdout  # rdump copies no sticky bit


def test_a_machine_of_the_disk_powers_off_with_the_commands_exit_code(
    store: Store, tmp_path: Path
) -> None:
    if not shutil.which("qemu-system-x86_64"):
        pytest.skip("qemu-system-x86_64 is not installed")
    output = tmp_path / "three.qcow2"
    assert tonnage("image", "disk", "three:1", "-o", str(output)).returncode == 0
    kernel, initramfs = guest_kernel.probe_machine(print)
    machine = subprocess.run(
        ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
         "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "256", "-no-reboot",
         "-kernel", str(kernel), "-initrd", str(initramfs),
         "-append", "console=ttyS0 quiet loglevel=1 TONNAGE_ROOT=/dev/vda",
         "-drive", f"if=none,id=disk0,file={output},format=qcow2",
         "-device", "virtio-blk-pci,drive=disk0", "-serial", "stdio"],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=180, check=False,
    )  # fmt: skip
    assert machine.returncode == 0
    assert b"payload: the command ended with exit code 3" in machine.stdout
