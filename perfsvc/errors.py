"""What can go wrong by other people's input. Each message names the place, what was met, and what was wanted."""


class PerfsvcError(Exception):
    """Base of every error that is told to a person without a trace. `exit_code`: what the command line ends with."""

    exit_code = 2


class SettingsError(PerfsvcError):
    """A setting is misspelt, missing or of the wrong kind."""


class ResultFormatError(PerfsvcError):
    """A result file is not what its format says."""


class GitError(PerfsvcError):
    """There is no repository here, or git refused."""


class NotFound(PerfsvcError):
    """Something was named that the store does not hold."""


class DatabaseVersionError(PerfsvcError):
    """The database was written by a newer perfsvc, or has not been created yet."""


class JobConflict(PerfsvcError):
    """A stale attempt, a job that is not in the state that the step needs, or a second claim."""


class RunnerError(PerfsvcError):
    """A measurement could not be made: no suite, a build that failed, a suite that hangs."""

    exit_code = 3


class TriageError(PerfsvcError):
    """A step that the alert's state does not allow, or that lacks its reason or its name."""


class PortInUse(PerfsvcError):
    """Something listens already where a server was to be started."""
