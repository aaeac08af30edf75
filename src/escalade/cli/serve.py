"""``escalade serve``: a release behind an OpenAI-compatible API."""

from __future__ import annotations

from pathlib import Path

import click

from escalade import messages
from escalade.cli import console
from escalade.stages import using
from escalade.stages.workspace import open_workspace


@click.command(help="help.serve")
@click.argument("model")
@click.option("--host", default="127.0.0.1", show_default=True, help="help.serve_host")
@click.option("--port", type=int, default=8000, show_default=True, help="help.serve_port")
@click.option("--token", help="help.serve_token")
@click.option("--name", help="help.serve_name")
@click.option("--json", "as_json", is_flag=True, help="help.serve_json")
def command(model: str, host: str, port: int, token: str | None, name: str | None, as_json: bool) -> None:
    """Serves until Ctrl-C."""
    space = open_workspace(Path("."), console.ConsoleReporter())
    token = token or using.token_from_environment()
    using.check_binding(host, token)
    opened = using.open_model(space, model)
    name = name or Path(model).resolve().name

    def ready(address: str) -> None:
        if as_json:
            console.print_json({"address": address, "model": name})
        else:
            console.print_text(messages.text("cli.ready", name=name, address=address))
            import sys

            sys.stdout.flush()

    using.serve(using.served(opened, name), host, port, token, ready)
