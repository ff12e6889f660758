"""The tools: the commands that they give, and why one is absent."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lab.delivery import tools
from lab.experiments import delivery, profiles
from tests.lab.programs import program

QUICK, FULL = (profiles.PROFILES[name] for name in ("quick", "full"))
IMAGE = "127.0.0.1:5000/app:1"


def test_ours_gives_the_commands_of_the_command_line(tmp_path: Path) -> None:
    ours = tools.Ours(tmp_path, "tonnage-delivery-1")
    start = [sys.executable, "-P", "-m", "lab", "image"]
    options = [f"--store={tmp_path}", "--durability=safe"]
    assert ours.pull(IMAGE) == [[*start, "pull", *options, IMAGE]]
    assert ours.build(Path("/c"), cached=False) == [
        [*start, "build", *options, "--no-cache", "-t", "built", "/c"]
    ]
    assert ours.build(Path("/c"), cached=True) == [[*start, "build", *options, "-t", "built", "/c"]]
    assert ours.save(IMAGE, Path("/f")) == [[*start, "save", *options, "--output=/f", IMAGE]]


def test_skopeo_unpacks_each_image_into_a_new_bundle(tmp_path: Path) -> None:
    skopeo = tools.Skopeo(tmp_path, "tonnage-delivery-1")
    copy, unpack = skopeo.pull(IMAGE)
    assert copy[-2:] == [f"docker://{IMAGE}", f"oci:{tmp_path}/layout:app-1"]
    assert unpack == [
        "umoci", "unpack", "--image", f"{tmp_path}/layout:app-1", f"{tmp_path}/bundle-1",
    ]  # fmt: skip
    assert skopeo.pull(IMAGE)[1][-1] == f"{tmp_path}/bundle-2"
    assert not skopeo.builds


def test_a_bundle_gets_the_pipes_and_a_cgroup_of_ours(tmp_path: Path) -> None:
    skopeo = tools.Skopeo(tmp_path, "tonnage-delivery-1")
    skopeo.pull(IMAGE)
    skopeo.bundle.mkdir()
    document = {"process": {"terminal": True, "args": ["sh"], "cwd": "/"}, "linux": {}}
    (skopeo.bundle / "config.json").write_text(json.dumps(document))
    words = skopeo.run_words(IMAGE)
    assert words[0] == "runc"
    assert words[-3:] == ["--bundle", str(skopeo.bundle), "tonnage-delivery-1-0"]
    assert json.loads((skopeo.bundle / "config.json").read_text()) == {
        "process": {
            "terminal": False,
            "args": ["/usr/lib/tonnage/payload", "serve", "tonnage-delivery-1"],
            "cwd": "/",
        },
        "linux": {"cgroupsPath": "/tonnage-delivery-1-0"},
    }


def test_the_id_of_a_layout_is_that_of_its_configuration(tmp_path: Path) -> None:
    blobs = tmp_path / "layout/blobs/sha256"
    blobs.mkdir(parents=True)
    entries = [
        {"digest": f"sha256:{name}",
         "annotations": {"org.opencontainers.image.ref.name": f"app-{name}"}}
        for name in ("1", "2")
    ]  # fmt: skip
    (tmp_path / "layout/index.json").write_text(json.dumps({"manifests": entries}))
    (blobs / "1").write_text(json.dumps({"config": {"digest": "sha256:abc"}}))
    assert tools.Skopeo(tmp_path, "x").image_id(IMAGE) == "sha256:abc"


def test_a_tool_is_absent_with_its_package(path: Path) -> None:
    assert tools.absent("tonnage") == ""
    assert tools.absent("podman") == "podman is not installed: apt-get install podman"
    program(path, "docker")
    assert tools.absent("docker") == "dockerd is not installed: apt-get install docker.io"
    for name in ("skopeo", "runc"):
        program(path, name)
    assert tools.absent("skopeo+umoci") == "umoci is not installed: apt-get install umoci"
    program(path, "umoci")
    assert tools.absent("skopeo+umoci") == ""


@pytest.mark.parametrize("target", ["native", "crun", "lxc", "microvm", "qemu"])
def test_targets_without_a_tool_take_no_part(target: str) -> None:
    assert not delivery.joins(target, "container", 0, FULL)


def test_targets_with_an_installed_tool_take_part(path: Path) -> None:
    assert delivery.joins("container", "container", 0, QUICK)
    assert not delivery.joins("podman", "container", 0, QUICK)
    program(path, "podman")
    assert delivery.joins("podman", "container", 1, QUICK)


def test_a_machine_is_compared_with_the_whole_user_land_only() -> None:
    assert delivery.joins("vm", "machine", 1, FULL)
    assert not delivery.joins("vm", "machine", 0, QUICK)


def test_without_docker_registry_there_is_no_delivery(path: Path) -> None:
    expected = "docker-registry is not installed: apt-get install docker-registry"
    assert delivery.absent() == expected
    program(path, "docker-registry")
    assert delivery.absent() == ""
