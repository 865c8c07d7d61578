"""Exit codes of `nst`, each with the sentence that help texts, `nst status` and the manual use for it."""

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, Self, TypeVar

Command = TypeVar("Command", bound=Callable[..., Any])


class ExitCode(IntEnum):
    """What the end of a command tells the shell.

    Attributes:
        sentence: the meaning of the code for commands that compute rows.
        sentences: its meaning for other commands, by their name.
    """

    sentence: str
    sentences: Mapping[str, str]

    def __new__(cls, code: int, sentence: str, sentences: Mapping[str, str] | None = None) -> Self:
        """Make a member of its code and its sentences."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.sentence, member.sentences = sentence, sentences or {}
        return member

    OK = (
        0,
        "every row is ok, or no more are not than --tolerate allows",
        {
            "plan": "every row can be tried",
            "validate": "every row is valid",
            "compare": "nothing got worse",
            "stylize": "the picture is written",
            "weights check": "the file holds the weights, intact",
            "doctor": "everything works",
            "selftest": "everything works, and with --chaos no row is lost",
            "submit": "the job was taken; with --follow, every row is ok",
            "render kubernetes": "it is written",
        },
    )
    PROBLEMS = (
        1,
        "some rows failed, diverged or are quarantined",
        {
            "plan": "some rows fail already, and why is shown",
            "validate": "some rows would fail: a mask, or with --pictures any picture, cannot be used",
            "compare": "something got worse",
            "stylize": "the optimisation diverged; the picture is its best iterate",
            "weights check": "the file holds something else, or is damaged",
            "doctor": "something does not work, and what is left of the test is kept",
            "selftest": "something does not work, and what is left of the test is kept",
        },
    )
    NOTHING_STARTED = (2, "nothing was started: the input or the output is wrong")
    BROKEN_OFF = (3, "it broke off, and the same command goes on from there")
    NO_INTERPRETER = (
        127,
        "no interpreter there has ray and nst-pipeline: set cluster.python, cluster.upload or cluster.pip",
    )
    INTERRUPTED = (130, "it was interrupted by Ctrl-C or stopped by nst cancel; finished rows are kept")
    TERMINATED = (143, "it was ended by SIGTERM; finished rows are kept")

    def sentence_for(self, command: str) -> str:
        """Return what the code says at the end of a command, such as `compare` or `weights check`."""
        return self.sentences.get(command, self.sentence)


SHOWN = {
    "compare": (ExitCode.OK, ExitCode.PROBLEMS, ExitCode.NOTHING_STARTED),
    "plan": (ExitCode.OK, ExitCode.PROBLEMS, ExitCode.NOTHING_STARTED),
    "validate": (ExitCode.OK, ExitCode.PROBLEMS, ExitCode.NOTHING_STARTED),
    "render kubernetes": (ExitCode.OK, ExitCode.NOTHING_STARTED),
    "stylize": (ExitCode.OK, ExitCode.PROBLEMS, ExitCode.NOTHING_STARTED),
    "weights check": (ExitCode.OK, ExitCode.PROBLEMS, ExitCode.NOTHING_STARTED),
    "doctor": (ExitCode.OK, ExitCode.PROBLEMS, ExitCode.NOTHING_STARTED),
    "selftest": (ExitCode.OK, ExitCode.PROBLEMS, ExitCode.NOTHING_STARTED),
}
"""By command, the codes that its help names. Commands that compute rows name all of a run's."""

OF_A_RUN = (
    ExitCode.OK,
    ExitCode.PROBLEMS,
    ExitCode.NOTHING_STARTED,
    ExitCode.BROKEN_OFF,
    ExitCode.INTERRUPTED,
)


def explained(command: str) -> str:
    """Return the paragraph of a command's help that explains its exit codes."""
    codes = SHOWN.get(command, OF_A_RUN)
    return "Exit code " + " ".join(f"{code.value}: {code.sentence_for(command)}." for code in codes)


def explains_exit_codes(command: str) -> Callable[[Command], Command]:
    """Return a decorator that puts the exit codes of a command into its help, before its examples."""

    def decorate(function: Command) -> Command:
        text, example, rest = (function.__doc__ or "").partition("    Example:")
        function.__doc__ = f"{text}    {explained(command)}\n\n{example}{rest}"
        return function

    return decorate
