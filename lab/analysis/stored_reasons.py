"""Reasons that runs store in English: why KVM does not work, why a target is absent or failed.

`stored` compares a text with these templates one by one, and the first that matches counts: a
template that begins with a field comes after those that begin with its words.
"""

from __future__ import annotations

from lab.language.message import Message

ABSENT = (
    Message("it needs root"),
    Message("this host has no /dev/net/tun"),
    Message("there is no /dev/kvm"),
    Message("/dev/kvm can't be opened"),
    Message("/dev/kvm can't be opened by this user"),
    Message("no docker daemon answers, and dockerd is not installed: apt-get install docker.io"),
    Message("a plain process has no root file system of its own"),
    Message("it runs only the common user land"),
    Message("it installs the common user land with a boot loader"),
    Message("it is tuned for the workloads of the common user land"),
    Message("the machine that it restores has the common user land"),
    Message("its VMM is set up for the common user land"),
    Message("it delivers images of its own, which are made from the common user land"),
    Message("it runs workloads of the common user land, which an image does not contain"),
    Message("not tried: QEMU is not installed"),
)
ABSENT_TEMPLATES = (
    Message("not tried: no guest to boot ({reason})"),
    Message("requested, although {reason}"),
    Message("it needs KVM: {reason}"),
    Message("it can't run an image: {reason}"),
    Message("QEMU ended: {reason}"),
    Message("its kernel panics on this CPU: {line}"),
    Message("the docker daemon at {place} is not on this host: unset DOCKER_HOST"),
    Message("the docker daemon at {place} is outside this container"),
    Message("no docker daemon answers at {place}: {reason}"),
    Message("the cgroups here have no usable controller for {names}"),
    Message("{reason}, only from an uncompressed kernel (PVH); from a compressed kernel {other}"),
    Message("{reason}; an uncompressed kernel was not tried ({cause})"),
    Message("{reason}; from an uncompressed kernel (PVH): {pvh_reason}"),
    Message("a Linux guest ran in {seconds} s"),
    Message("a Linux guest hung: no output within {seconds} s"),
    Message("{program} is not installed: apt-get install {package}"),
    Message("{program} is not installed: make setup"),
    Message("{program} is not installed"),
    Message("libvirt can't be loaded ({reason}): apt-get install libvirt0"),
    Message("{program} does not answer"),
    Message("{program} exited with {code}"),
    Message("{program} can't be run: {reason}"),
    Message("{program} absent"),
)  # fmt: skip
FAILED_TEMPLATES = (
    Message("{experiment}, round {number}: {reason}"),
    Message("A container did not start: {reason}"),
    Message("An instance did not report its first instruction."),
    Message("{target} did not report its first instruction."),
    Message("{target} did not start: {reason}"),
    Message("{target} did not reach {milestone} within {seconds} s: {reason}"),
    Message("{target} did not reach {milestone} within {seconds} s."),
    Message("{target} ended before it reached {milestone}."),
    Message("{target} did not answer within {seconds} s; it was killed."),
    Message("The worker of {target} has ended."),
    Message("The worker of {target} ended with exit code {code}."),
    Message("{what} in {target} did not end within {seconds} s."),
    Message("{target} ended while it ran {what}."),
    Message("{workload} failed in {target}: {reason}"),
    Message("its output has no match of {pattern}"),
    Message("its output has no number at {path} in any JSON document"),
    Message("its output has {text} where a number was expected"),
    Message("its output has broken JSON: {reason}"),
    Message("exit code {code}"),
)
# Of runs by earlier versions.
EARLIER = (
    Message("itself a virtual machine: trust ratios, not single times"),
    Message("machines are emulated (TCG) and labelled so"),
)
EARLIER_TEMPLATES = (
    Message("a Linux guest hung: nothing heard within {seconds} s"),
    Message("its kernel does not get on with this CPU: {line}"),
    Message("to try again before the host's next boot, remove {path}"),
    Message("an empty memory cgroup took {first} of the host's kernel before, {last} after"),
)
LIMITS = (
    Message("process ids (kernel.pid_max)"),
    Message("threads (kernel.threads-max)"),
    Message("open files (fs.file-max)"),
    Message("file descriptors (ulimit -n)"),
    Message("network namespaces (user.max_net_namespaces)"),
    Message("processes (ulimit -u, pids.max or kernel.pid_max)"),
    Message("disk, memory cgroups, or namespaces (user.max_*_namespaces)"),
    Message("nested namespaces"),
    Message("processes (pids.max of the lab's own cgroup)"),
    Message("memory cgroups, removed ones included"),
    Message("memory of the lab's own cgroup (bytes)"),
    Message("disk (bytes)"),
    Message("disk (inodes)"),
)
NOTE_TEMPLATES = (
    Message("dying cgroups {dying}, dentries {dentries}, connections {connections},"
            " page cache {cache} MiB, slab {slab} MiB, huge pages {huge} MiB,"
            " free in blocks of 2 MiB {free}"),
    Message("from {first} to {last}"),
    Message("stopped by {limit}"),
    Message("memory: {available} MiB available, memory floor of {floor} MiB"),
    Message("start latency above {seconds} s"),
    Message("a failed start: {reason}"),
    Message("{limit}: {used} of {most}"),
)  # fmt: skip
