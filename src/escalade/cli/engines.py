"""``escalade engines``: programs of others, each in an environment of its own."""

from __future__ import annotations

import click

from escalade import messages
from escalade.catalogue.engines import engine
from escalade.cli import console
from escalade.cli.usage import Chooser
from escalade.stages import engines

_json = click.option("--json", "as_json", is_flag=True, help="help.json")


@click.group(cls=Chooser, invoke_without_command=True, help="help.engines")
@click.pass_context
def command(ctx: click.Context) -> None:
    """The verbs of engines."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@command.command("list", help="help.engines_list")
@_json
def list_engines(as_json: bool) -> None:
    """Every engine, and whether it is here."""
    found = engines.every()
    if as_json:
        console.print_json({"engines": [one.to_json() for one in found]})
        return
    rows = [
        [one.card.name, messages.text("cli.yes" if one.here else "cli.no"), messages.text(one.card.about)]
        for one in found
    ]
    console.print_table(console.headings("headings.engine", "headings.here", "headings.about"), rows)


@command.command("add", help="help.engines_add")
@click.argument("name")
@_json
def add_engine(name: str, as_json: bool) -> None:
    """Installs one."""
    reporter = console.ConsoleReporter(quiet=as_json)
    found, done = engines.add(engine(name), reporter)
    if as_json:
        console.print_json(found.to_json() | {"added": done})
    else:
        key = "cli.engine_added" if done else "cli.engine_there"
        console.print_wrapped(messages.text(key, name=name, folder=found.folder))


@command.command("remove", help="help.engines_remove")
@click.argument("name")
@_json
def remove_engine(name: str, as_json: bool) -> None:
    """Deletes one."""
    done = engines.remove(engine(name))
    if as_json:
        console.print_json({"name": name, "removed": done})
    else:
        console.print_wrapped(messages.text("cli.engine_removed" if done else "cli.engine_none", name=name))
