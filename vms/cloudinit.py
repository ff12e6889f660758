"""The seed that a cloud image reads at its first boot: cloud-init's NoCloud data source.

A small image with the label `cidata`, given to the machine as a read-only disk. (cloud-init,
"NoCloud" and "Networking config version 2")
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vms import iso9660
from vms.errors import MachineError

if TYPE_CHECKING:
    from pathlib import Path

_LABEL = "cidata"
# What user data may begin with; anything else cloud-init passes over without a word.
_BEGINNINGS = (
    "#cloud-config", "#!", "#include", "#cloud-boothook", "#part-handler", "## template:",
    "Content-Type:", "MIME-Version:", "#cloud-config-archive",
)  # fmt: skip
_KEY_KINDS = ("ssh-", "ecdsa-", "sk-")


@dataclass(frozen=True, slots=True)
class Seed:
    """What a machine is told of itself.

    `ssh_keys` are public keys that let their owners in as the image's default user. `user_data`
    and `network_config` are handed on as they are; without a network's the image asks DHCP.
    """

    hostname: str
    ssh_keys: tuple[str, ...] = ()
    user_data: str = "#cloud-config\n{}\n"
    network_config: str | None = None

    def check(self) -> None:
        """Refuse what cloud-init would pass over in silence. Raises MachineError."""
        if not self.user_data.startswith(_BEGINNINGS):
            raise MachineError("The user data must begin with #cloud-config, #! or the like.")
        for key in self.ssh_keys:
            if not key.startswith(_KEY_KINDS) or len(key.split()) < 2:
                raise MachineError(f"{key[:40]!r} is no public ssh key.")

    def files(self) -> dict[str, bytes]:
        """What lies in the seed. The instance is another one as soon as anything in it is."""
        told = {"user-data": self.user_data}
        if self.network_config is not None:
            told["network-config"] = self.network_config
        digest = hashlib.sha256("\0".join((self.hostname, *self.ssh_keys, *told.values())).encode())
        told["meta-data"] = json.dumps(  # what YAML reads as well
            {
                "instance-id": f"{self.hostname}-{digest.hexdigest()[:12]}",
                "local-hostname": self.hostname,
                "public-keys": self.ssh_keys,
            }
        )
        return {name: text.encode() for name, text in told.items()}


def write_seed(seed: Seed, path: Path) -> None:
    """Write the seed's image. Raises MachineError."""
    seed.check()
    try:
        with path.open("xb") as file:
            iso9660.write(file, _LABEL, seed.files())
    except OSError as error:
        raise MachineError(f"Can't write {path}: {error.strerror}.") from error
