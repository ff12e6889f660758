"""The process of a student's JupyterLab: it ends when the command that started it ends.

It reads the configuration in its private folder and no other: what a host or a user has set for a
Jupyter of their own, such as an address or no token, must not open a class's server.

If that command was killed, this process removes the private folder, which holds the token.

python -m lab.classroom.jupyter_process PARENT FOLDER
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import sys
from pathlib import Path

from lab.host import processes

CONFIGURATION = "config"  # its directory in the private folder


def main() -> None:
    """Run JupyterLab with the configuration that the environment names."""
    parent, private = int(sys.argv[1]), sys.argv[2]
    atexit.register(_remove_without, parent, private)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # until JupyterLab has its own handler
    processes.end_with_parent(parent)
    from jupyter_core import paths

    # Without that, /etc/jupyter and its like count, too. JUPYTER_NO_CONFIG leaves out ours as well.
    paths.jupyter_config_path = lambda: [str(Path(private, CONFIGURATION))]
    from jupyterlab.labapp import LabApp

    sys.argv[1:] = []
    LabApp.launch_instance()


def _remove_without(parent: int, private: str) -> None:
    """Remove the private folder if the parent, whose task that is, has ended or is about to."""
    if os.getppid() != parent or processes.is_ending(parent):
        shutil.rmtree(private, ignore_errors=True)


if __name__ == "__main__":
    main()
