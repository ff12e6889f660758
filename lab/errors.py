"""The lab's exceptions. Each message is a sentence: what is wrong, where, and what to do.

LabError                the user can act on it; the command line prints the message
├── NotFound            no target, experiment, profile, workload or run folder has that name
├── AlreadyExists       a name is given twice, or a folder already holds files
├── InvalidConfig       an option, a workload file or an environment variable can't be used
├── InvalidRun          a run folder is incomplete or corrupt, or can't be written
├── Incomparable        two runs, or a run and its continuation, differ in a condition
├── Unavailable         this host lacks a program, a privilege or a kernel feature
├── HostBusy            another measurement is using this host
├── ReportFailed        the notebook or a picture of a report failed
└── TargetFailed        a worker, a tool, an instance or a command in it failed while measured
    └── StartFailed     an instance did not reach a milestone: a censored sample, not a crash
"""


class LabError(Exception):
    """Base class of all errors that the lab raises on purpose."""


class NotFound(LabError):
    """No object of the lab has the given name or path."""


class AlreadyExists(LabError):
    """A name or a path is already in use."""


class InvalidConfig(LabError):
    """An option, a configuration file or an environment variable has an unusable value."""


class InvalidRun(LabError):
    """A run folder can't be read as one, or can't be written."""


class Incomparable(LabError):
    """Runs differ in a condition that their figures depend on."""


class Unavailable(LabError):
    """The host lacks something that a measurement needs."""


class HostBusy(LabError):
    """Another measurement holds the host's measurement lock."""


class ReportFailed(LabError):
    """The notebook, a picture or the page of a report failed."""


class TargetFailed(LabError):
    """A target failed while it was being measured; the round gets a censored sample."""


class StartFailed(TargetFailed):
    """An instance did not start, or did not reach a milestone before its deadline."""
