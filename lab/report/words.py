"""The words of the page's templates."""

from __future__ import annotations

from lab.language.message import Message, joined

page_title = Message("Containers and virtual machines: claims and measurements")
lead = Message(
    "Introductions to containers say that containers start in seconds, take megabytes, run close to"
    " native speed and fit on a host by the thousands, and that virtual machines start in minutes,"
    " take gigabytes, are slow and fit by the tens. This page compares each claim with a run on one"
    " host."
)
same_content = Message(
    "Container and machine have the same content: a Debian user land is unpacked once and becomes"
    " the directory in which `native` runs, the container's image and the machine's disk. The same"
    " static program runs in each, reports the time of its first instruction, and answers requests."
)
contents = Message("On this page")
verdicts = Message("Verdicts")
verdicts_intro = Message(
    "A claim **holds** if the whole [interval](#term-interval) lies where the claim says, **does"
    " not hold** if no part of it does, and is **inconclusive** if the interval includes the bound."
    " It **can't be tested here** if this host or this run has no figure for it."
)
statements = Message("Claims of the text around the table")
limits = Message("What limits this run")
how_to_read = Message(
    "**How to read a figure.** The value is the median. The [interval](#term-interval) (95 %)"
    " covers this run: it says how well the rounds determine this run's median. A"
    " [ratio](#term-ratio) is taken within each [round](#term-round). Targets are"
    " [ranked](#term-rank) only where they differ by more than their intervals. A failed start is"
    " counted beside the figure, and never repeated silently."
)
calculator_title = Message("How many hosts?")
calculator_intro = Message(
    "What a number of idle instances takes, by the memory of one more instance and the starts that"
    " this run measured. In parentheses: the hosts at both ends of the memory's interval. The"
    " command `tonnage plan` packs services of several sizes, and proves how few hosts can do."
)
across = Message("From run to run")
across_intro = Message(
    "Comparable runs of this host in the same folder, each as one value. The interval covers the"
    " median of the host's runs, which the interval of a single run does not."
)
judged = Message("How each claim was judged")
everything = Message("Every measurement, every ratio")
everything_intro = Message(
    "[Outliers](#term-outlier) are counted and stay in the figure. **Excluded** rounds were"
    " [disturbed](#term-disturbed); **all rounds** is the ratio that includes them."
    " [Detects](#term-detects) is the smallest difference that such a run would find."
)
raw_samples = Message("All raw samples (measurements.csv, compressed)")
terms = Message("Terms")
host = Message("The host, and how to measure again")
host_intro = Message(
    "Figures of another host differ. The order within rounds follows from the seed (`--seed`)."
)
recorded = Message("Values stand as the run recorded them.")
commands = Message("How to measure again")
command_table = Message("measure, print the table, and write this page into a new run folder")
command_report = Message("write the page of a run again")
command_startup = Message("one experiment alone, with more rounds")
switch = Message("Language")
csv = Message("CSV")
skip = Message("Skip to the verdicts")
target = Message("target")
hosts = Message("hosts")
cost = Message("cost a month")
one_ready = Message("one more ready after")
all_ready = Message("all ready after")
unmeasured = Message("No figure in this run.")


def rule(measure: str) -> Message:
    """Return how a claim is measured and what it requires, with markup."""
    return joined("", (Message("Measured, and required: "), measure))


def rows(count: int) -> Message:
    """Return the length of a table, of which its box shows only a part."""
    return Message("1 row") if count == 1 else Message("{count} rows", count=f"{count:,}")


def more(count: int) -> Message:
    """Return the label of what unfolds the other figures of a card."""
    return Message("1 more figure") if count == 1 else Message("{count} more figures", count=count)
