"""Owns the task roll.simulate."""

from __future__ import annotations

from invoke.context import Context

from goldpress import progress
from goldpress.commands.command import command, show
from goldpress.errors import DocumentError


@command
def simulate(
    _c: Context,
    instances: int = 5000,
    regions: int = 6,
    accounts: int = 5,
    scenario: str = "all",
    seed: int = 0,
    from_account: str = "",
    image: str = "",
    sandbox: bool = False,
    json: bool = False,
) -> None:
    """Roll thousands of simulated instances by the code of `roll`, through every kind of trouble.

    Of a made-up fleet, or with --from-account=CHANNEL of that channel's groups as they are now
    (which only reads). Every moment is checked; it fails when an invariant is broken, or a bad
    image was not taken back. --scenario=NAME, see README; --json tells everything.
    """
    from goldpress import cloud, planning
    from goldpress.simulation import layout, reading, report, simulating
    from goldpress.simulation import scenario as scenarios
    from goldpress.workspace import sandbox_said, workspace

    wanted = scenarios.chosen(scenario)
    if from_account:
        ws = workspace()
        endpoint = cloud.up(ws).url if sandbox_said(flag=sandbox) else ""
        channel = planning.channel_of(ws, from_account, image)
        read = reading.read(ws, channel, endpoint=endpoint)
        progress.note(f"read: {read.source}: {read.instances} instances; nothing is changed there")

        def layouts(of: scenarios.Scenario) -> layout.Layout:
            del of
            return read

    else:
        if image or sandbox:
            raise DocumentError("--image and --sandbox are for --from-account")

        def layouts(of: scenarios.Scenario) -> layout.Layout:
            return layout.made_up(
                instances=instances, regions=regions, accounts=accounts, seed=seed,
                spot=bool(of.spot),
            )  # fmt: skip

    done = simulating.simulate(
        layouts, wanted, seed=seed, told=lambda row: progress.note(report.line(row))
    )
    if json:
        show(done.document())
    else:
        progress.result(report.tables(done))
    simulating.conclude(done)
