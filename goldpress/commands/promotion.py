"""Owns the tasks of promotion: propose, check, promote, hold, release."""

from __future__ import annotations

from invoke.collection import Collection
from invoke.context import Context

from goldpress import progress
from goldpress.commands.command import command, show
from goldpress.errors import DocumentError


@command
def propose(
    _c: Context,
    channel: str,
    image: str = "",
    digest: str = "",
    expedite: str = "",
    sandbox: bool = False,
    json: bool = False,
) -> None:
    """Propose what a channel could have now: its branch, its pull request, and the text of that.

    Of every image, or of --image, or this --digest of it; --expedite=REASON for an emergency fix.
    Without a GitHub token the branch stays in this checkout, and the text is printed.
    """
    from goldpress import cloud, proposing
    from goldpress.github.api import find_repository
    from goldpress.workspace import sandbox_said, workspace

    ws = workspace()
    said = sandbox_said(flag=sandbox)
    wish = proposing.Wish(
        channel=channel, image=image, digest=digest, expedite=expedite, sandbox=said
    )
    endpoint = cloud.up(ws).url if said else ""
    found = proposing.propose(ws, wish, repo=find_repository(), endpoint=endpoint)
    if found is None:
        progress.note(f"nothing to propose for {channel}: nothing was opened or changed")
        return
    if json:
        show(found.document())
    else:
        print(found.text, end="")  # noqa: T201 - the result
    state = "new" if found.branch.fresh else "unchanged"
    progress.note(f"branch {found.branch.name} at {found.branch.commit[:12]}, {state}")
    progress.note(found.url or f"not pushed: `git push origin {found.branch.name}` does, by hand")


@command
def check_promotion(_c: Context, pull: str, sandbox: bool = False, comment: bool = False) -> None:
    """Judge a pull request (its number) by every rule; --comment tells the verdicts there.

    It fails when a rule is not met; its approval is judged once it is merged, by `promote`.
    """
    from goldpress import checking, cloud
    from goldpress.workspace import sandbox_said, workspace

    if not pull.isdecimal():
        raise DocumentError(f"{pull!r} is not the number of a pull request")
    ws = workspace()
    endpoint = cloud.up(ws).url if sandbox_said(flag=sandbox) else ""
    found = checking.check(ws, int(pull), endpoint=endpoint, comment=comment)
    for shown in found.tables():
        progress.result(shown, beside=True)
    show(found.document())
    found.refuse_failed()


@command
def promote(
    _c: Context, channel: str, image: str = "", sandbox: bool = False, dry_run: bool = False
) -> None:
    """Make what the default branch says of a channel so, once its approval and evidence are proven.

    Of every image, or of --image; --dry-run tells the difference and changes nothing.
    """
    from goldpress import cloud, promoting
    from goldpress.workspace import sandbox_said, workspace

    ws = workspace()
    endpoint = cloud.up(ws).url if sandbox_said(flag=sandbox) else ""
    outcomes = promoting.promote(ws, channel, image=image, endpoint=endpoint, dry_run=dry_run)
    show([row.document() for row in outcomes])
    if error := promoting.failure(outcomes):
        raise error


@command
def hold(_c: Context, digest: str, why: str) -> None:
    """Let nothing launch an image digest any more, from now on, in every channel; --why=..."""
    from goldpress import holds
    from goldpress.workspace import workspace

    ws = workspace()
    show(holds.hold_here(ws, digest, why).document())
    progress.note("held at once; let git follow: `./inv propose` another image, and merge it")


@command
def release(_c: Context, digest: str, why: str) -> None:
    """End the hold on an image digest; --why=..."""
    from goldpress import holds
    from goldpress.workspace import workspace

    show(holds.release_here(workspace(), digest, why).document())


tasks = Collection("promotion")
tasks.add_task(check_promotion, name="check")
