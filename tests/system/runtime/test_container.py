"""Containers: their isolation, limits, exit codes, errors and removal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import runtime
from runtime.cgroups.hierarchies import WITHOUT, this_host
from runtime.container import shared_rootfs
from runtime.container.state import StateDirectory
from runtime.spec.config import Cpu, Memory, Mount, Pids, Resources, Spec, User
from tests.system.runtime.containers import SECONDS, box_cgroups, run

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.root


def test_a_container_has_six_namespaces_of_its_own(tree: Path, root: Path) -> None:
    kinds = ("pid", "net", "ipc", "uts", "mnt", "cgroup")
    output = run(tree, root, "; ".join(f"readlink /proc/self/ns/{kind}" for kind in kinds))
    inside = output.text.split()
    outside = [str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in kinds]
    assert len(inside) == len(kinds)
    assert not set(inside) & set(outside)
    processes = run(tree, root, "echo $$; ls -d /proc/[0-9]*")
    assert processes.text.splitlines()[0] == "1"
    assert "/proc/1" in processes
    assert len(processes.text.splitlines()) <= 4  # the output of echo, the shell and ls


def test_the_host_is_not_reachable(tree: Path, root: Path) -> None:
    marker = Path("/run/tonnage-test-marker")
    marker.touch()
    try:
        output = run(
            tree,
            root,
            f"test -e {marker} || echo unseen; grep -c ext4 /proc/self/mounts;"
            " touch /proc/sys/kernel/hostname 2>&1; echo x >/proc/sys/kernel/hostname;"
            " test -d /proc/acpi && ls /proc/acpi | wc -l; hostname; cd /; ls .. | head -1;"
            " mkdir /sys/fs/cgroup/x; mount -t tmpfs t /mnt;"
            " mknod /dev/sda b 8 0 && head -c1 /dev/sda",
        )
    finally:
        marker.unlink()
    assert "unseen" in output
    assert "Read-only file system" in output.text
    assert "tonnage" in output
    assert "mount: /mnt: permission denied." in output.text or "must be superuser" in output.text
    assert output.exit_code != 0


def test_nothing_is_inherited(tree: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONNAGE_SECRET", "1")
    secret = os.open("/etc/shadow", os.O_RDONLY)
    os.set_inheritable(secret, True)
    try:
        output = run(tree, root, "ls /proc/$$/fd; pwd; env")
    finally:
        os.close(secret)
    assert output.text.split()[:4] == ["0", "1", "2", "/"]
    assert "TONNAGE_SECRET" not in output.text
    assert "HOME=/root" in output  # by the container's /etc/passwd


def test_capabilities_are_dockers_defaults(tree: Path, root: Path) -> None:
    output = run(tree, root, "grep -E '^(Cap|NoNewPrivs)' /proc/self/status")
    sets = dict(line.split(":\t") for line in output.text.splitlines())
    assert sets["CapEff"] == sets["CapPrm"] == sets["CapBnd"]
    assert sets["CapInh"] == sets["CapAmb"] == "0" * 16
    assert not int(sets["CapEff"], 16) & 1 << 21  # CAP_SYS_ADMIN
    assert sets["NoNewPrivs"] == "1"


def test_a_user_without_privileges_has_no_capabilities(tree: Path, root: Path) -> None:
    spec = runtime.default_spec(["sh", "-c", ""])
    assert spec.process
    process = spec.process.replace(
        args=("sh", "-c", "id -u; id -G; grep CapEff /proc/self/status; umask"),
        user=User(uid=1000, gid=1000, additional_gids=(7,), umask=0o77),
    )
    output = run(tree, root, "", process=process)
    assert output.text.split() == ["1000", "1000", "7", "CapEff:", "0" * 16, "0077"]


def test_the_loopback_interface_is_up(tree: Path, root: Path) -> None:
    output = run(tree, root, "cat /sys/class/net/lo/flags; ls /sys/class/net")
    assert int(output.text.split()[0], 16) & 1
    assert output.text.split()[1:] == ["lo"]


def test_writes_stay_in_the_writable_layer(tree: Path, root: Path) -> None:
    before = sorted(path.name for path in tree.iterdir())
    spec = runtime.default_spec(["sh", "-c", "echo mine >/new; rm /etc/hostname; sleep 60"])
    with runtime.Container.run("box", spec, [tree], root=root) as box:
        deadline = time.monotonic() + SECONDS
        while not Path(box.upper, "new").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert Path(box.upper, "new").read_text() == "mine\n"
    assert sorted(path.name for path in tree.iterdir()) == before
    assert (tree / "etc/hostname").exists()


def test_exit_codes_and_signals_are_returned(tree: Path, root: Path) -> None:
    assert run(tree, root, "exit 7").exit_code == 7
    spec = runtime.default_spec(["sleep", "60"])
    with runtime.Container.run("box", spec, [tree], root=root) as box:
        with pytest.raises(TimeoutError):
            box.wait(0.05)
        with pytest.raises(runtime.ContainerError, match="box is running: stop it first"):
            box.delete()
        box.kill(signal.SIGKILL)
        assert box.wait(SECONDS) == 128 + signal.SIGKILL
        assert box.wait() == 128 + signal.SIGKILL


@pytest.mark.parametrize("end", ["kill", "kill_all", "delete"])
def test_a_paused_container_can_be_killed(tree: Path, root: Path, end: str) -> None:
    spec = runtime.default_spec(["sh", "-c", "sleep 60 & wait"])
    with runtime.Container.run("box", spec, [tree], root=root) as box:
        box.pause()
        if end == "delete":
            box.delete(force=True)
        else:
            getattr(box, end)()
            assert box.wait(SECONDS) == 128 + signal.SIGKILL
    assert box_cgroups() == []


MAKER = """
import os, sys, runtime
spec = runtime.default_spec(["sleep", "60"])
box = runtime.Container.run("box", spec, [sys.argv[1]], root=sys.argv[2])
print("made", flush=True)
sys.stdin.readline()
box.wait()
print("waited", flush=True)
sys.stdin.readline()
"""


def test_the_exit_code_is_known_to_other_processes_from_linux_6_15(tree: Path, root: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", MAKER, tree, root],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as maker:  # fmt: skip
        assert maker.stdin
        assert maker.stdout
        assert maker.stdout.readline() == "made\n"
        box = runtime.Container.load("box", str(root))
        with pytest.raises(TimeoutError, match="box still runs"):
            box.wait(0.05)
        box.kill(signal.SIGKILL)
        if others_know_exit_codes():
            with pytest.raises(TimeoutError, match="its parent process has not waited"):
                box.wait(0.5)
        maker.stdin.write("\n")
        maker.stdin.flush()
        assert maker.stdout.readline() == "waited\n"
        if others_know_exit_codes():
            assert box.wait(SECONDS) == 128 + signal.SIGKILL
        else:
            with pytest.raises(runtime.ContainerError, match="known to its parent process alone"):
                box.wait(SECONDS)
        late = runtime.Container.load("box", str(root))
        with pytest.raises(runtime.ContainerError, match="known to its parent process alone"):
            late.wait(SECONDS)
        late.delete()
        box.close()


def others_know_exit_codes() -> bool:
    """Return True if the kernel reports exit codes by pidfds, as Linux 6.15 does."""
    version, sub, *_ = os.uname().release.split(".")
    return (int(version), int(sub)) >= (6, 15)


def test_the_end_of_a_container_ends_its_children(tree: Path, root: Path) -> None:
    spec = runtime.default_spec(["sh", "-c", "sleep 61 & sleep 61 & wait"])
    with runtime.Container.run("box", spec, [tree], root=root) as box:
        deadline = time.monotonic() + SECONDS
        while len(pids := box.cgroup.processes()) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_limits_are_in_force(tree: Path, root: Path) -> None:
    memory = Resources(memory=Memory(limit=32 << 20))
    hungry = "head -c 200m /dev/zero | tail -c 150m >/dev/null; echo $?"
    starved = run(tree, root, hungry, memory)
    assert "137" in starved or starved.exit_code == 137  # the kernel may kill the shell itself
    forks = run(
        tree,
        root,
        "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait",
        Resources(pids=Pids(limit=4)),
    )
    assert "fork" in forks.text
    half = Resources(cpu=Cpu(quota=50_000, period=100_000))
    output = run(
        tree,
        root,
        "timeout 1 sh -c 'while :; do :; done'; cat /proc/uptime >/dev/null;"
        " awk '{print $16 + $14}' /proc/self/stat; times | tail -1",
        half,
    )
    minutes, seconds = output.text.split()[-2].rstrip("s").split("m")
    assert int(minutes) * 60 + float(seconds) < 0.75


INVALID: dict[str, tuple[Callable[[Spec], Spec], str]] = {
    "no such program": (
        lambda spec: replace_args(spec, ["/no/such"]),
        "Can't run /no/such: no such file or directory",
    ),
    "not executable": (
        lambda spec: replace_args(spec, ["/etc/passwd"]),
        "Can't run /etc/passwd: permission denied",
    ),
    "unmountable": (
        lambda spec: spec.replace(
            mounts=(*spec.mounts, Mount(destination="/mnt", type="nosuchfs", source="x"))
        ),
        "Can't mount /mnt: no such device",
    ),
    "bad limit": (
        lambda spec: spec.replace(
            linux=spec.linux.replace(resources=Resources(cpu=Cpu(quota=1, period=100_000))),
        ),
        "linux.resources.cpu.quota: can't write '1",
    ),
    "no such name": (
        lambda spec: spec.replace(hostname="x" * 100),
        "hostname has more than 64 bytes",
    ),
}


def replace_args(spec: Spec, args: list[str]) -> Spec:
    assert spec.process
    return spec.replace(process=spec.process.replace(args=tuple(args)))


def test_a_missing_working_directory_is_made(tree: Path, root: Path) -> None:
    spec = runtime.default_spec(["sh"])
    assert spec.process
    output = run(tree, root, "", process=spec.process.replace(args=("pwd",), cwd="/no/such"))
    assert output.text == "/no/such\n"


@pytest.mark.parametrize("case", INVALID)
def test_a_failed_start_leaves_nothing(case: str, tree: Path, root: Path) -> None:
    change, message = INVALID[case]
    spec = change(runtime.default_spec(["true"]))
    with pytest.raises(runtime.ContainerError) as failed:
        runtime.Container.run("box", spec, [tree], root=root)
    assert message in str(failed.value)


def test_an_invalid_layer_or_name_is_refused(tree: Path, root: Path, tmp_path: Path) -> None:
    spec = runtime.default_spec(["true"])
    with pytest.raises(runtime.ContainerError, match="is no directory"):
        runtime.Container.run("box", spec, [tmp_path / "nowhere"], root=root)
    with pytest.raises(runtime.ContainerError, match="not a valid container id"):
        runtime.Container.run("../box", spec, [tree], root=root)
    with pytest.raises(runtime.ContainerError, match="There is no layer"):
        runtime.Container.run("box", spec, [], root=root)


def test_an_id_can_be_used_once(tree: Path, root: Path) -> None:
    spec = runtime.default_spec(["sleep", "60"])
    with (
        runtime.Container.run("box", spec, [tree], root=root),
        pytest.raises(runtime.AlreadyExists, match="There is a container box already"),
    ):
        runtime.Container.run("box", spec, [tree], root=root)


def test_a_link_of_an_image_cannot_lead_a_mount_out(tree: Path, root: Path, tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    layer.mkdir()
    target = tmp_path / "target"
    target.mkdir()
    (layer / "proc").symlink_to(target)
    with pytest.raises(runtime.ContainerError, match="/proc, which must be no symbolic link"):
        runtime.Container.run("box", runtime.default_spec(["true"]), [layer, tree], root=root)
    assert list(target.iterdir()) == []


def test_a_second_deletion_changes_no_other_container(tree: Path, root: Path) -> None:
    spec = runtime.default_spec(["sleep", "60"])
    with runtime.Container.run("box", spec, [tree], root=root) as box:
        box.delete(force=True)
        with runtime.Container.run("box-2", spec, [tree], root=root) as other:
            box.delete(force=True)
            box.kill()
            assert not Path(f"/proc/{box.pid}").exists()
            with pytest.raises(TimeoutError):
                other.wait(0.1)


def test_a_read_only_bind_is_read_only(tree: Path, root: Path, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    spec = runtime.default_spec(["true"])
    bind = Mount(destination="/mnt", source=str(tmp_path / "shared"), options=("rbind", "ro"))
    output = run(tree, root, "touch /mnt/x; mount | grep ' /mnt '", mounts=(*spec.mounts, bind))
    assert "Read-only file system" in output.text
    assert list((tmp_path / "shared").iterdir()) == []


def test_containers_of_a_killed_process_are_cleaned(tree: Path, root: Path) -> None:
    code = (
        "import os, sys, pathlib, runtime\n"
        "runtime.Container.run('box', runtime.default_spec(['sleep', '60']),"
        " [pathlib.Path(sys.argv[1])], root=pathlib.Path(sys.argv[2]))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, tree, root], check=False, timeout=SECONDS)
    pids = {
        int(pid) for path in box_cgroups() for pid in (path / "cgroup.procs").read_text().split()
    }
    assert len(pids) == 1
    lines = runtime.clean(root)
    assert f"killed process {pids.pop()} of container box" in lines
    assert runtime.clean(root) == []


def test_a_container_has_a_cgroup_in_every_hierarchy(tree: Path, root: Path) -> None:
    spec = runtime.default_spec(["sleep", "60"])
    with runtime.Container.run("box", spec, [tree], root=root) as box:
        lines = Path(f"/proc/{box.pid}/cgroup").read_text().splitlines()
        ours = [line for line in lines if line.endswith("/tonnage-box")]
        assert len(ours) == len(this_host().every_hierarchy())
        assert box.cgroup.memory_bytes() > 0


@pytest.mark.skipif(this_host().is_v2, reason="version 2 has no cgroup without a controller")
def test_a_container_can_stay_in_its_creators_cgroup_of_a_controller(
    tree: Path, root: Path
) -> None:
    def cgroups(pid: int | str) -> dict[str, str]:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        return {line.split(":")[1]: line.split(":")[2] for line in lines}

    without = {WITHOUT: "memory"}
    spec = runtime.default_spec(["sleep", "60"]).replace(annotations=without)
    with runtime.Container.run("box", spec, [tree], root=root) as box:
        its, own = cgroups(box.pid), cgroups("self")
    assert its["memory"] == own["memory"]
    assert its["pids"] == "/tonnage-box"
    limited = Resources(memory=Memory(limit=64 << 20))
    with pytest.raises(runtime.ContainerError, match=r"memory\.limit: .* no memory cgroup"):
        run(tree, root, "true", limited, annotations=without)


def test_mounts_that_would_stay_on_the_host_are_refused(tree: Path, root: Path) -> None:
    """Without a mount namespace, layers are refused, and / as a container's root."""
    spec = runtime.default_spec(["true"])
    namespaces = tuple(each for each in spec.linux.namespaces if each.type != "mount")
    spec = spec.replace(linux=spec.linux.replace(namespaces=namespaces))
    with pytest.raises(runtime.ContainerError, match="layers need a mount namespace"):
        runtime.Container.run("box", spec, [tree], root=root)
    with pytest.raises(runtime.ContainerError, match="without a mount namespace"):
        shared_rootfs.mount("/", StateDirectory(str(root), "box"))


def test_a_root_whose_runtime_was_killed_is_unmounted(root: Path, tmp_path: Path) -> None:
    """The runtime was killed after it had mounted and recorded the root."""
    shared = tmp_path / "a root"
    shared.mkdir()
    (shared / "kept").touch()
    directory = StateDirectory(str(root), "box")
    directory.make()
    shared_rootfs.mount(str(shared), directory)
    assert "a\\040root" in Path("/proc/self/mounts").read_text()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", shared], check=True)  # as a container might
    assert runtime.clean(root) == ["removed container box, whose creation was interrupted"]
    assert "a\\040root" not in Path("/proc/self/mounts").read_text()
    assert (shared / "kept").exists()


def test_the_exit_code_stays_unknown_to_another_process(tree: Path, root: Path) -> None:
    """A deletion by another process than the parent invents no exit code."""
    with subprocess.Popen(
        [sys.executable, "-c", MAKER, tree, root],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as maker:  # fmt: skip
        assert maker.stdout
        assert maker.stdout.readline() == "made\n"
        box = runtime.Container.load("box", str(root))
        box.delete(force=True)
        with pytest.raises(runtime.Unavailable, match="known to its parent process alone"):
            box.wait(SECONDS)
        maker.communicate("\n\n")
