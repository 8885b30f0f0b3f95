"""`simulator verify`: whether a file of results is as it was written."""

import os

import click

from ..shell import Rendered, Verb, check_forms, clear_errors, emit, outputs


@click.command(cls=Verb)
@click.argument("results")
@outputs
def verify(results: str) -> None:
    """Say whether the netCDF file RESULTS is as it was written, to the byte; the exit code is 2 where it is not.

    Example: simulator verify results/es.nc
    """
    with clear_errors():
        from ....ledger import verify as verified
        from ...tables import Page
        from ...tidy import tidy_records

        check_forms(results)
        found = {"file": results, "sha256": verified(results), "bytes": os.path.getsize(results)}
        said = [f"{results} is as it was written.", f"SHA-256: {found['sha256']}"]
        rows = lambda: tidy_records([found], ("file",), {"bytes": "bytes", "sha256": "1"}.get)  # noqa: E731
        emit(Rendered(lambda: Page(verdict=said), lambda: found, rows))
