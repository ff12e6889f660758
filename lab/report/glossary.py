"""The terms of the page, each with an anchor to which the texts link."""

from __future__ import annotations

from dataclasses import dataclass

from lab.language.message import Message


@dataclass(frozen=True, slots=True)
class Term:
    """A term with its meaning, at the anchor `term-<name>`."""

    name: str
    term: Message
    meaning: Message

    @property
    def anchor(self) -> str:
        """The anchor, the same in every language."""
        return f"term-{self.name}"


TERMS = (
    Term("target", Message("target"), Message(
        "What runs a workload: a container runtime, an engine, a kind of machine, or the host"
        " itself (`native`).")),
    Term("instance", Message("instance"), Message("One running container or machine.")),
    Term("request", Message("request"), Message(
        "The moment at which the start of an instance is asked for. All times count from it.")),
    Term("first-instruction", Message("first instruction"), Message(
        "The program inside runs: by its own clock in a container, by the arrival of its first"
        " byte in a machine.")),
    Term("ready", Message("ready"), Message("A server inside has answered a request.")),
    Term("userspace", Message("userspace"), Message(
        "The init of a machine has reached its default target.")),
    Term("gone", Message("gone"), Message(
        "Stopped, and no process, mount, cgroup or disk of the instance is left.")),
    Term("round", Message("round"), Message("Every target once, in random order.")),
    Term("disturbed", Message("disturbed"), Message(
        "Other work used more than 5 % of the CPUs in the round, or the host swapped or waited.")),
    Term("interval", Message("interval"), Message(
        "Where the median of this run lies with 95 % confidence, by resampling of rounds. It"
        " covers this run only. It is missing where there were too few values.")),
    Term("rank", Message("rank"), Message(
        "The place of a target among those of the table. Two targets have different ranks only if"
        " their intervals don't overlap; “2 – 4” means that the run can't tell these places"
        " apart.")),
    Term("ratio", Message("ratio"), Message(
        "A figure divided by another of the same round, which is close in time, so that noise on"
        " the host affects both sides alike.")),
    Term("outlier", Message("outlier"), Message(
        "A round beyond three interquartile ranges of the quartiles. Outliers are counted, and"
        " stay in the figure.")),
    Term("detects", Message("detects"), Message(
        "The smallest difference that such a run would detect in 95 % of cases.")),
    Term("emulated", Message("emulated"), Message(
        "QEMU translates each instruction of the machine (TCG), because KVM runs no Linux guest"
        " on this host.")),
    Term("image", Message("image"), Message(
        "The files of the user land, as shipped (compressed) and as unpacked.")),
    Term("overlay", Message("overlay"), Message(
        "A file system that shows an image, and keeps an instance's changes apart.")),
    Term("thin-clone", Message("thin clone"), Message(
        "A disk that holds only what differs from another one.")),
    Term("cgroup", Message("cgroup"), Message(
        "The kernel's account of a group of processes, and their limits.")),
    Term("namespace", Message("namespace"), Message(
        "The part of the system that a process sees.")),
    Term("pss", Message("PSS"), Message(
        "Memory of a process, in which each shared page is divided among those that share it.")),
)  # fmt: skip
