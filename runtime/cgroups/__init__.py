"""Control groups: one interface, with the two versions of the kernel's behind it."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.cgroups.cgroup import Cgroup
    from runtime.cgroups.manager import at, below, create, of_process, plan, reopen
else:
    from runtime.lazy import attributes

    __getattr__ = attributes(
        __name__,
        {
            "Cgroup": "cgroup",
            "at": "manager",
            "below": "manager",
            "create": "manager",
            "of_process": "manager",
            "plan": "manager",
            "reopen": "manager",
        },
    )

__all__ = ["Cgroup", "at", "below", "create", "of_process", "plan", "reopen"]
