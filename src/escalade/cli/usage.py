"""Mistakes on the command line itself, as errors with place, cause and cure like all others."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import click

from escalade import messages
from escalade.errors import BadInput


def in_language(command: click.Command) -> click.Command:
    """The command with its help and that of its options, given as keys, in the language in use."""
    told: list[click.Command | click.Option] = [command]
    told += [param for param in command.params if isinstance(param, click.Option)]
    for said in told:
        key = said.__dict__.setdefault("help_key", said.help)
        if key and key.startswith("help."):
            said.help = messages.text(key)
    return command


class Chooser(click.Group):
    """A group that answers an unknown verb with the nearest one, and explains in the language in use."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb, explained in the language in use."""
        found = super().get_command(ctx, cmd_name)
        return found and in_language(found)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that is asked for.

        Raises:
            BadInput: There is none of this name.
        """
        known = self.list_commands(ctx)
        if not args[0].startswith("-") and args[0] not in known:
            raise unknown_verb(args[0], known, ctx.command_path)
        return super().resolve_command(ctx, args)


def unknown_verb(said: str, known: Sequence[str], place: str) -> BadInput:
    """A verb that is none, with the nearest one or the list."""
    if close := difflib.get_close_matches(said, known, n=1, cutoff=0.5):
        return BadInput("cli.no_such_verb_close", place=place, name=said, close=close[0])
    return BadInput("cli.no_such_verb", place=place, name=said, known=", ".join(known))


def explained(error: click.UsageError, given: Sequence[str]) -> BadInput:
    """What click refused of the arguments given, in the user's language."""
    place = error.ctx.command_path if error.ctx else " ".join(["escalade", *given[:1]])
    match error:
        case click.NoSuchOption(option_name=said, possibilities=near):
            if near:
                return BadInput("cli.no_such_option_close", place=place, name=said, close=near[0])
            return BadInput("cli.no_such_option", place=place, name=said, command=place)
        case click.MissingParameter(param=param):
            said = _name(param) if param else str(error.param_hint)
            return BadInput("cli.parameter_missing", place=place, name=said, command=place)
        case click.BadParameter(param=param) if param is not None:
            if isinstance(param.type, click.Choice):
                known = ", ".join(map(str, param.type.choices))
                return BadInput("cli.not_a_choice", place=f"{place} {_name(param)}", known=known)
            return BadInput("cli.bad_value", place=f"{place} {_name(param)}", problem=error.message, command=place)
    return BadInput("cli.usage", place=place, problem=error.format_message().rstrip("."), command=place)


def _name(param: click.Parameter) -> str:
    """``--budget`` for an option, ``RUNG`` for an argument."""
    return param.opts[0] if param.param_type_name == "option" else param.human_readable_name
