"""Start a container in this process, without a daemon or another program.

    sudo .venv/bin/python examples/start_container.py

The container gets docker's default capabilities and seccomp filter, namespaces of its own, 64 MiB
of memory, and a writable layer over a read-only root file system.
"""

from lab.userland.root_tree import build_tree
from runtime import Container, default_spec
from runtime.spec.config import Memory, Resources

spec = default_spec(["sh", "-c", "echo process $$ of $(hostname), user $(id -u); exit 3"])
linux = spec.linux.replace(resources=Resources(memory=Memory(limit=64 << 20)))
spec = spec.replace(hostname="example", linux=linux)
layers = [build_tree(print)]  # a Debian root directory; the topmost layer is the first one
with Container.run("example", spec, layers) as container:
    print("exit code:", container.wait(timeout_seconds=10))
# Leaving the block has deleted the container, its cgroups and its writable layer.
