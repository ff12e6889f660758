"""The claims of the containers-vs-VMs table, judged by the figures of a run."""
