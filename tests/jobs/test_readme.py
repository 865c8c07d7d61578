"""The manual of `nst` has the options and exit codes of the code."""

from jobs.exit_codes import ExitCode
from pipeline.options import GIVEN, Option
from pipeline.specs import ManifestJob
from pipeline.specs.run_options import SECTIONS
from tests.support import REPOSITORY
from tests.support.generated import check_section, table

README = REPOSITORY / "jobs" / "README.md"


def field_of(name: str) -> str:
    """The field of a job file that an option is."""
    sections = [f"`{section}.{name}`" for section, model in SECTIONS.items() if name in model.model_fields]
    return sections[0] if sections else f"`{name}`" if name in ManifestJob.model_fields else ""


def default_of(option: Option) -> str:
    if option.default in (None, "", False):
        return ""
    if isinstance(option.default, tuple):
        return ", ".join(option.default)
    return f"{option.default:g}" if isinstance(option.default, float) else str(option.default)


def test_the_readme_lists_every_option_of_a_run() -> None:
    rows = [
        (f"`--{name.replace('_', '-')}`", field_of(name), default_of(option), option.description)
        for name, option in GIVEN.items()
    ]
    check_section(README, "options", table(("option", "in a job file", "default", "what it does"), rows))


def test_the_readme_lists_every_exit_code() -> None:
    rows = [
        (
            code.value,
            f"{code.sentence}",
            "; ".join(f"`nst {command}`: {sentence}" for command, sentence in code.sentences.items()),
        )
        for code in ExitCode
    ]
    check_section(README, "exit codes", table(("code", "of commands that compute", "of others"), rows))
