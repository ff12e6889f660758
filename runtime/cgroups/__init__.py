"""Control groups: one interface, with the two versions of the kernel's behind it."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.cgroups.cgroup import Cgroup
    from runtime.cgroups.host import at, below, create, leftovers, of_process, plan, reopen
else:
    from runtime.lazy import attributes

    __getattr__ = attributes(
        __name__,
        {
            "Cgroup": "cgroup",
            "at": "host",
            "below": "host",
            "create": "host",
            "leftovers": "host",
            "of_process": "host",
            "plan": "host",
            "reopen": "host",
        },
    )

__all__ = ["Cgroup", "at", "below", "create", "leftovers", "of_process", "plan", "reopen"]
