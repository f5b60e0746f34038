"""The toy's sub-command."""

import typer

app = typer.Typer()


@app.command()
def double(number: float) -> None:
    """Print twice a number."""
    print(2 * number)


@app.command()
def half(number: float) -> None:
    """Print half a number."""
    print(number / 2)
