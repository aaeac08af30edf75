"""The command line: one file a verb, loaded when it is asked for, so that ``escalade --help`` answers at once."""

from __future__ import annotations

import importlib
import sys
import traceback
from typing import Any

import click

from escalade import messages
from escalade.cli.usage import Chooser, explained, in_language
from escalade.errors import BadInput, EscaladeError

VERBS = (
    "demo", "init", "check", "scope", "plan", "select", "pretrain", "adapt", "evaluate", "compare", "run", "deploy",
    "serve", "predict", "score", "report", "runs", "engines", "doctor",
)  # fmt: skip
_OF_TEXTS = ("score", "compare")
"""Verbs whose own ``--lang`` is the language of the texts."""


class Verbs(Chooser):
    """The group of verbs; a verb's module is imported when it runs, never to list it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a project meets them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the verb's module."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"escalade.cli.{cmd_name}")
        command: click.Command = module.command
        return in_language(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the verbs with their one line from the messages."""
        with formatter.section(messages.text("cli.verbs")):
            formatter.write_dl([(verb, messages.text(f"cli.verb_{verb}")) for verb in VERBS])


@click.group(
    cls=Verbs,
    invoke_without_command=True,
    help="help.escalade",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--lang", type=click.Choice(messages.LANGUAGES), help="help.escalade_lang")
@click.option("--version", is_flag=True, help="help.escalade_version")
@click.pass_context
def group(ctx: click.Context, lang: str | None, version: bool) -> None:
    """Climb from a task to a model that provably does it, by the cheapest way there is."""
    if version:
        from importlib.metadata import version as installed

        click.echo(installed("escalade"))
        ctx.exit(0)
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and leaves with its exit code.

    0 done (for ``run``: target met), 1 our fault, 2 bad input, 3 target not proven within the budget, 130 interrupted.
    """
    given = sys.argv[1:] if arguments is None else arguments
    given = _language_first(given)
    sys.exit(_exit_code(given))


def _language_first(given: list[str]) -> list[str]:
    """Sets the language before any text is made; ``--lang`` may stand anywhere on the line.

    Behind a verb that scores texts it is the language of the texts.
    """
    rest, chosen, i = [], None, 0
    while i < len(given):
        if given[i] in _OF_TEXTS:
            rest += given[i:]
            break
        if given[i] == "--lang" and i + 1 < len(given):
            chosen, i = given[i + 1], i + 2
        elif given[i].startswith("--lang="):
            chosen, i = given[i].partition("=")[2], i + 1
        else:
            rest.append(given[i])
            i += 1
    messages.use(chosen)
    # One that there is no text in is left for the group's own option to refuse.
    return rest if chosen in (None, *messages.LANGUAGES) else ["--lang", str(chosen), *rest]


def _exit_code(given: list[str]) -> int:
    as_json = "--json" in given
    try:
        code = in_language(group).main(given, prog_name="escalade", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.UsageError as error:
        _show(explained(error, given).to_json(), as_json)
        return 2
    except (KeyboardInterrupt, click.Abort):
        _show({"key": "cli.stopped", "place": "", "cause": messages.text("cli.stopped"), "cure": ""}, as_json)
        return 130
    except EscaladeError as error:
        _show(error.to_json(), as_json)
        return error.exit_code
    except BrokenPipeError:
        # Whoever read the output has had enough.
        sys.stderr.close()
        return 0
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:
            refused = BadInput("cli.cannot_use_path", place=error.filename, problem=error.strerror)
            _show(refused.to_json(), as_json)
            return refused.exit_code
        # Our fault: what it takes to find it goes to stderr, and who asked for JSON still gets one document.
        traceback.print_exc()
        _show(EscaladeError("cli.our_fault", problem=f"{type(error).__name__}: {error}").to_json(), as_json)
        return 1


def _show(problem: dict[str, Any], as_json: bool) -> None:
    """An error on stderr for people; under ``--json`` one document on stdout."""
    if as_json:
        import json

        click.echo(json.dumps({"error": problem}, ensure_ascii=False))
        return
    head = f"{problem['place']}: " if problem["place"] else ""
    click.echo(f"{messages.text('cli.error')}: {head}{problem['cause']}", err=True)
    if problem["cure"]:
        click.echo(f"  {problem['cure']}", err=True)
