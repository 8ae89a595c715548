"""Owns the tasks of evidence: the chain of an image, back from an AMI, keys that sign."""

from __future__ import annotations

from pathlib import Path

from invoke.collection import Collection
from invoke.context import Context

from goldpress import progress
from goldpress.commands.command import command, show


@command
def evidence(_c: Context, image: str = "web", audit: str = "", sandbox: bool = False) -> None:
    """Who says what of an image (a name or a digest), signed; --audit=ami-...: back from an AMI.

    The audit fails when a link of the chain, the AMI's own blocks or its approval are not proven.
    """
    from goldpress import evidencing
    from goldpress.workspace import SANDBOX, sandbox_said, workspace

    ws = workspace()
    said = sandbox_said(flag=sandbox)
    if audit:
        from goldpress import cloud, tracing

        endpoint = cloud.up(ws).url if said else ""
        found = tracing.audit(ws, audit, endpoint=endpoint)
        progress.result(
            evidencing.links_table(f"{audit} is {found.ami.image}", found.links), beside=True
        )
        progress.result(evidencing.statements_table(found.chain), beside=True)
        show(found.document())
        found.refuse_unproven()
        return
    distribution = SANDBOX if said else evidencing.distribution_of(ws, image)
    chain = evidencing.evidence(ws, image, distribution=distribution)
    progress.result(evidencing.links_table(chain.image, chain.links), beside=True)
    progress.result(evidencing.statements_table(chain), beside=True)
    show(chain.document())


@command
def make_key(
    _c: Context,
    name: str,
    path: str = "",
    may: str = "build,verify,publish",
    stand_in: bool = False,
) -> None:
    """Make a signing key in a new file, and print the entry that trust.yaml needs to believe it."""
    from goldpress import evidencing
    from goldpress.workspace import workspace

    target = Path(path).expanduser() if path else workspace().keys / f"{name}.pem"
    print(evidencing.make_trusted(name, target, may, stand_in=stand_in), end="")  # noqa: T201 - the result
    progress.note(f"the private key is in {target}: keep it secret; GOLDPRESS_SIGNER=file:{target}")


keys = Collection("keys")
keys.add_task(make_key, name="make")
