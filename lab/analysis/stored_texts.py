"""Texts that runs store in English, and how they become messages again when they are shown.

A record keeps the English text. `stored` finds the template that it was made of, here or in
`lab.analysis.stored_reasons`, and its fields, which may be stored texts themselves.
"""

from __future__ import annotations

from functools import cache

from lab.analysis.stored_reasons import (
    ABSENT,
    ABSENT_TEMPLATES,
    EARLIER,
    EARLIER_TEMPLATES,
    FAILED_TEMPLATES,
    LIMITS,
    NOTE_TEMPLATES,
)
from lab.language import templates
from lab.language.message import Message, in_context, joined, recalled
from lab.language.punctuation import COMMA, SEMICOLON

FACTS = (
    Message("distribution"),
    Message("kernel"),
    Message("CPUs"),
    Message("swap"),
    Message("transparent huge pages"),
    Message("huge pages"),
    Message("clock source"),
    Message("capabilities"),
    Message("overlay file system"),
    Message("user namespaces"),
    Message("delivery of images"),
)
VALUES = (
    Message("running"),
    Message("off"),
    Message("restricted"),
    Message("does not answer"),
    Message("version unknown"),
    Message("not tried"),
    Message("can't be measured"),
    Message("present"),
    Message("absent"),
    Message("none reserved"),
    Message("all required"),
    Message("not in this kernel"),
)
MEANINGS = (
    Message("density will stop early, at its memory floor"),
    Message("merges machines' memory, which changes density"),
    Message("reserved memory is not available to instances: sysctl vm.nr_hugepages=0"),
    Message("slow to read, or coarse"),
    Message("density will reach this limit: sysctl kernel.pid_max=4194304"),
    Message("starts will fail"),
    Message("for root only: sysctl kernel.apparmor_restrict_unprivileged_userns=0"),
    Message("may be too small for the user land: set TONNAGE_CACHE to another directory"),
    Message("no embedded driver: apt-get install libvirt-daemon-driver-qemu"),
    Message("starts may hang"),
    Message("this host is a virtual machine: trust ratios rather than single times"),
    Message("resource limits can't be raised"),
    Message("cgroups are made as directories, not as units"),
    Message("machines are emulated (TCG), and their figures are labelled so"),
    Message(
        "machines boot an uncompressed kernel under KVM;"
        " a machine with its own boot loader is emulated"
    ),
    Message("swapped-out memory counts as free: run swapoff -a before density"),
    Message("an instance's memory may grow in steps of 2 MiB"),
    Message("nothing can be measured: use sudo"),
)
SETTINGS = (
    Message("profile"),
    Message("experiments"),
    Message("targets"),
    Message("seed"),
    Message("accelerator"),
    Message("page cache"),
    Message("precision"),
    Message("budget seconds"),
    Message("tonnage"),
    Message("targets asked"),
    Message("rounds asked"),
    Message("start deadline seconds"),
    Message("environment"),
    Message("cpu virtualization"),
    Message("userland"),
    Message("started"),
    Message("finished"),
    Message("failures"),
    Message("runtime binaries"),
    Message("image digest"),
    Message("untested"),
)
PAGE_CACHE = (Message("warm"), Message("cold"))
# With fields; the first that matches counts.
TEMPLATES = (
    Message("target {name}"),
    Message("{total}, {available} available"),
    Message("{total}, {used} used"),
    Message("{free} free in {folder}"),
    Message("{version}, with its embedded QEMU driver"),
    Message("without {names}"),
    Message("does not work: {reason}"),
    Message("works in part: {reason}"),
    Message("works: {reason}"),
    Message("to probe again before the next reboot, remove {path}"),
    Message("no limits on {names}"),
    Message("no machines: {reason}"),
    Message("no containers: {reason}"),
    Message("no rootless containers: {reason}"),
    Message("no {use}: apt-get install {package}"),
    Message("an empty memory cgroup took {first} of kernel memory before, {last} after"),
)
_DISK = in_context("resource", "disk")
_WHOLE = frozenset(map(str, (*FACTS, *VALUES, *MEANINGS, *SETTINGS, *ABSENT, *EARLIER, *LIMITS)))
_ALL_TEMPLATES = (
    *TEMPLATES,
    *ABSENT_TEMPLATES,
    *FAILED_TEMPLATES,
    *EARLIER_TEMPLATES,
    *NOTE_TEMPLATES,
)


def stored(text: str) -> Message:
    """Return a text that a run stored as the message that it was made of, if it is known."""
    if text == _DISK:
        return _DISK
    if text in _WHOLE:
        return recalled(text)
    if message := templates.made_of(_patterns(), text, stored):
        return message
    for separator in (SEMICOLON, COMMA):
        parts = text.split(str(separator))
        if len(parts) > 1 and any(map(_is_known, parts)):
            return joined(separator, map(stored, parts))
    return recalled(text)


def _is_known(text: str) -> bool:
    return text in _WHOLE or templates.made_of(_patterns(), text, str) is not None


@cache
def _patterns() -> tuple[templates.Pattern, ...]:
    return templates.patterns(_ALL_TEMPLATES)
