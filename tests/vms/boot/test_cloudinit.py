"""Seeds of cloud images: keys, user data in every form, and the identity of copies."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.accounts import has_an_account
from vms import MachineError
from vms.boot import cloudinit, iso9660, ssh_keys
from vms.description import identity

if TYPE_CHECKING:
    from pathlib import Path

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFake me@here"
SECOND = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOther you@there"
RSA = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAB"
USER_DATA = b"#cloud-config\n{}\n"
MESSAGE = (
    b'From nobody\nContent-Type: multipart/mixed; boundary="="\nMIME-Version: 1.0\n\n--=\n'
    b"Content-Type: text/cloud-config\n\n{}\n--=--\n"
)


def meta_data(seed: cloudinit.Seed) -> dict[str, object]:
    document: dict[str, object] = json.loads(seed.files()["meta-data"])
    return document


def test_a_seed_contains_the_host_name_and_the_keys(tmp_path: Path) -> None:
    seed = cloudinit.Seed("box", (KEY,), network_config=b"version: 2\n")
    document = meta_data(seed)
    assert document["local-hostname"] == "box"
    assert document["public-keys"] == [KEY]
    assert seed.files()["network-config"] == b"version: 2\n"
    one, two = tmp_path / "one", tmp_path / "two"
    cloudinit.write_seed(seed, one)
    cloudinit.write_seed(seed, two)
    assert one.read_bytes() == two.read_bytes()


def test_each_seed_has_its_own_instance_id() -> None:
    assert (
        meta_data(cloudinit.Seed("box"))["instance-id"]
        != (meta_data(cloudinit.Seed("box"))["instance-id"])
    )


@pytest.mark.parametrize(
    ("name", "hostname"),
    [("box", "box"), ("a_b+c", "a-b-c"), ("web.example", "web.example"), ("--", "machine"),
     ("x" * 80, "x" * 63)],
)  # fmt: skip
def test_a_host_name_has_only_valid_letters(name: str, hostname: str) -> None:
    assert meta_data(cloudinit.Seed(name))["local-hostname"] == hostname


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (f"{KEY}\n{SECOND}\n", [KEY, SECOND]),
        (f"# mine\n\n  {KEY}  \r\n#{SECOND}\n", [KEY]),
        (f"restrict,pty {KEY}\n", [f"restrict,pty {KEY}"]),
        (f'command="echo \\"a b\\"",no-pty {KEY}', [f'command="echo \\"a b\\"",no-pty {KEY}']),
        (f"\ufeff{KEY}", [KEY]),
        ("\n".join([KEY, KEY]), [KEY]),
        (RSA, [RSA]),
        ("sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIA== t",
         ["sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIA== t"]),
        ("ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAI x",
         ["ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAI x"]),
    ],
)  # fmt: skip
def test_the_keys_of_a_file_are_listed(text: str, keys: list[str]) -> None:
    assert meta_data(cloudinit.Seed("box", (text,)))["public-keys"] == keys


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n", "line 1: this is a private key"),
        (f"{KEY}\n-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0\n", "line 2: this is a private key"),
        ("PuTTY-User-Key-File-3: ssh-ed25519\nc2VjcmV0", "line 1: this is a private key"),
        ("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA", "ssh-keygen -i"),
        ("ssh-ed25519", "line 1: this is not a public ssh key"),
        (
            "ssh-ed25519 AAAAB3NzaC1yc2EAAAADAQABAAAB c2VjcmV0",
            "line 1: this is not a public ssh key",
        ),
        (f"{KEY}\nc2VjcmV0\n", "line 2: this is not a public ssh key"),
        ("ssh-ed25519 <b>c2VjcmV0</b>", "line 1: this is not a public ssh key"),
        ("# none\n\n", "contains no public ssh key"),
        ("", "contains no public ssh key"),
    ],
)
def test_a_line_that_is_no_key_is_refused_and_not_repeated(text: str, sentence: str) -> None:
    with pytest.raises(MachineError, match=f"^keys.*{sentence}") as raised:
        ssh_keys.public_keys(text, "keys")
    assert "c2VjcmV0" not in str(raised.value)
    with pytest.raises(MachineError, match=sentence):
        cloudinit.Seed("box", (text,)).check()


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed")
@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_keys_made_by_ssh_keygen_are_accepted(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    if not has_an_account():
        pytest.skip("ssh-keygen refuses users without an account")
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", path], check=True)
    public = path.with_suffix(".pub").read_text()
    assert ssh_keys.public_keys(public, "key") == (public.strip(),)
    with pytest.raises(MachineError, match="this is a private key"):
        ssh_keys.public_keys(path.read_text(), "key")


@pytest.mark.parametrize(
    "user_data",
    [
        b"#cloud-config\r\nhostname: x\r\n", b"\n\n#cloud-config\n{}", b"\t#Cloud-Config\n{}",
        b"#!/bin/sh\necho \xe9\n", b"#cloud-config-archive\n[]", b"#cloud-config-jsonp\n[]",
        b"#include-once\nhttp://x", b"#part-handler\n", b"#cloud-boothook\n",
        b"## template: jinja\n#cloud-config\n{}", MESSAGE, MESSAGE.replace(b"\n", b"\r\n"),
        b"MIME-Version: 1.0\nContent-Type: text/x-shellscript\n\n#!/bin/sh\n",
        gzip.compress(USER_DATA), gzip.compress(MESSAGE), b"",
    ],
)  # fmt: skip
def test_user_data_that_cloud_init_reads_is_stored_byte_for_byte(
    user_data: bytes, tmp_path: Path
) -> None:
    cloudinit.write_seed(cloudinit.Seed("box", user_data=user_data), tmp_path / "seed")
    assert iso9660.read(tmp_path / "seed").files["user-data"] == user_data


@pytest.mark.parametrize(
    ("user_data", "sentence"),
    [
        (b"packages: [x]", "must start with #cloud-config"),
        (b"# cloud-config\n", "must start with #cloud-config"),
        (b"\xef\xbb\xbf#cloud-config\n", "byte order mark"),
        (USER_DATA.decode().encode("utf-16"), "byte order mark"),
        (b"\x1f\x8bno more", "starts like a gzip file but is damaged"),
        (gzip.compress(b"packages: [x]"), "must start with #cloud-config"),
        (b"Content-Type: text/cloud-config\n\n{}", "must start with #cloud-config"),
    ],
)
def test_user_data_that_cloud_init_would_ignore_is_refused(
    user_data: bytes, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(MachineError, match=sentence):
        cloudinit.write_seed(cloudinit.Seed("box", user_data=user_data), tmp_path / "seed")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not shutil.which("isoinfo"), reason="isoinfo is not installed")
def test_isoinfo_reads_a_seed(tmp_path: Path) -> None:
    image = tmp_path / "seed.iso"
    seed = cloudinit.Seed("box", (KEY,), user_data=USER_DATA + b"# much\n" * 1000)
    cloudinit.write_seed(seed, image)
    described = subprocess.run(
        ["isoinfo", "-d", "-i", image], capture_output=True, text=True, check=True
    )
    assert "Volume id: cidata" in described.stdout
    for name, content in seed.files().items():
        read = ["isoinfo", "-R", "-i", str(image), "-x", f"/{name}"]
        assert subprocess.run(read, capture_output=True, check=True).stdout == content


def test_a_copy_of_a_seed_has_a_new_identity(tmp_path: Path) -> None:
    seed = cloudinit.Seed("box", (KEY,), MESSAGE, b"version: 2\n")
    cloudinit.write_seed(seed, tmp_path / "seed")
    assert cloudinit.is_seed(tmp_path / "seed")
    cloudinit.copy_seed(tmp_path / "seed", tmp_path / "copy", "other_box")
    copied = iso9660.read(tmp_path / "copy").files
    document = json.loads(copied["meta-data"])
    assert document["local-hostname"] == "other-box"
    assert document["instance-id"] != seed.instance_id
    assert document["public-keys"] == [KEY]
    assert (copied["user-data"], copied["network-config"]) == (MESSAGE, b"version: 2\n")


@pytest.mark.parametrize(
    "written",
    [
        "instance-id: iid-old\nlocal-hostname: box\nnote: |\n  instance-id: kept\n",
        "---\nhostname: box\nnote: |\n  instance-id: kept\ninstance-id: iid-old",
    ],
)
def test_a_seed_with_yaml_is_copied(written: str, tmp_path: Path) -> None:
    with (tmp_path / "seed").open("wb") as file:
        iso9660.write(file, "CIDATA", {"meta-data": written.encode(), "user-data": b""})
    cloudinit.copy_seed(tmp_path / "seed", tmp_path / "copy", "other")
    text = iso9660.read(tmp_path / "copy").files["meta-data"].decode()
    lines = text.splitlines()
    assert [line for line in lines if "hostname" in line] == ["local-hostname: other"]
    assert "iid-old" not in text
    assert sum(line.startswith("instance-id: ") for line in lines) == 1
    assert "  instance-id: kept" in lines
    assert lines.index("---") == 0 if "---" in written else "---" not in lines


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"user-data": b""}, "has no file meta-data"),
        ({"meta-data": b"{instance-id: x}"}, "neither JSON nor YAML"),
    ],
)
def test_a_seed_without_readable_meta_data_is_not_copied(
    content: dict[str, bytes], sentence: str, tmp_path: Path
) -> None:
    with (tmp_path / "seed").open("wb") as file:
        iso9660.write(file, "cidata", content)
    with pytest.raises(MachineError, match=sentence):
        cloudinit.copy_seed(tmp_path / "seed", tmp_path / "copy", "other")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("cut", [0, 10, 17 * 2048, 20 * 2048 + 40, 21 * 2048 + 3])
def test_a_truncated_image_is_not_a_seed(cut: int, tmp_path: Path) -> None:
    cloudinit.write_seed(cloudinit.Seed("box"), tmp_path / "seed")
    (tmp_path / "cut").write_bytes((tmp_path / "seed").read_bytes()[:cut])
    assert not cloudinit.is_seed(tmp_path / "cut")
    assert not cloudinit.is_seed(tmp_path / "nowhere")
    with pytest.raises(MachineError):
        iso9660.read(tmp_path / "cut")


@pytest.mark.skipif(not shutil.which("genisoimage"), reason="genisoimage is not installed")
@pytest.mark.parametrize("extension", ["-rock", "-joliet-long -rock", "-J -R"])
def test_seeds_made_by_genisoimage_are_read(extension: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("meta-data", "user-data"):
        (tmp_path / "in" / name).write_text(f"instance-id: {name}\n")
    argv = ["genisoimage", "-quiet", "-output", str(tmp_path / "seed"), "-volid", "cidata"]
    subprocess.run([*argv, *extension.split(), str(tmp_path / "in")], check=True)
    assert iso9660.read(tmp_path / "seed").files == {
        "meta-data": b"instance-id: meta-data\n",
        "user-data": b"instance-id: user-data\n",
    }


def test_a_copys_command_line_has_another_name_and_id() -> None:
    line = f"console=ttyS0 {identity.words('box')} quiet"
    renewed = identity.renewed(line, "the_copy")
    assert " systemd.hostname=the-copy " in renewed
    assert renewed.split()[::3] == ["console=ttyS0", "quiet"]
    assert renewed.split()[2] != line.split()[2]
    assert identity.renewed("console=ttyS0 quiet", "x") == "console=ttyS0 quiet"
