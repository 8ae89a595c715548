"""Owns a site of tests: a hosting site, a store, an embedded cloud, and images to promote."""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from attested import World, world
from clouds import Account
from clouds import block as block_of
from emulated import Emulator
from github_server import GitHubServer

from goldpress import ami as amis
from goldpress import checking, promoting
from goldpress.ami import Ami
from goldpress.aws.client import Access
from goldpress.aws.ssm import Parameter, Parameters
from goldpress.channel import edited, parse_channel
from goldpress.checking import Checked
from goldpress.digest import digest_of
from goldpress.holds import hold
from goldpress.mirror.roots import IMAGE
from goldpress.promoting import Outcome
from goldpress.promotion.available import parameter_name, pointer_name
from goldpress.promotion.record import Promotion, history
from goldpress.publish.blocks import BlockIndex, keep_index
from goldpress.publish.register import ami_name
from goldpress.rehearsal.site import BOT, Pull
from goldpress.statements.judged import PROMISES
from goldpress.statements.publication import Publication
from goldpress.statements.signing import local_signer, trust_here
from goldpress.statements.statement import PROVENANCE, PUBLICATION, SBOM, VERIFICATION
from goldpress.statements.trust import Trust
from goldpress.statements.verification import Launched
from goldpress.workspace import Workspace

ACCOUNT = "123456789012"
OTHER = "111122223333"
REGION, SECOND = "us-east-1", "eu-west-1"
STAGING = """\
image: none
regions: [us-east-1]
evidence: [provenance, sbom, verification, publication, trial]
"""
PROD = """\
image: none
after: staging
soak_hours: 24
regions: [us-east-1]
accounts: ["111122223333"]
evidence: [provenance, sbom, verification, publication, trial]
expedite:
  soak_hours: 1
  approvals: 2
  during_freeze: true
"""


@dataclass(kw_only=True)
class Site:
    """Everything that a promotion needs. `later` moves the time that rules see."""

    ws: Workspace
    github: GitHubServer
    emulator: Emulator
    name: str
    regions: tuple[str, ...] = (REGION,)
    kms_key: str = ""
    later: timedelta = timedelta()
    images: dict[str, World] = field(default_factory=dict)

    @property
    def trust(self) -> Trust:
        return trust_here(self.ws)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.later

    def path(self, channel: str) -> str:
        return f"images/{self.name}/channels/{channel}.yaml"

    def policy(self, **texts: str) -> None:
        """Have `main` say this of channels, whoever approved it."""
        files = {self.path(channel): text for channel, text in texts.items()}
        self.github.hub.commit("main", files, by="ann", message="policy")

    def everywhere(self) -> None:
        """From now on channels and images are in two regions."""
        self.regions = (REGION, SECOND)
        both = f"[{REGION}, {SECOND}]"
        self.policy(**{
            name: text.replace(f"[{REGION}]", both)
            for name, text in {"staging": STAGING, "prod": PROD}.items()
        })  # fmt: skip

    # ---- images ----

    def press(self, letter: str) -> World:
        """An image of which the store knows the documents, and nobody said anything yet."""
        local_signer(self.ws)
        index = self.index(letter)
        plain = world(self.ws.store)
        manifest = dataclasses.replace(
            plain.manifest, name=self.name, block_root=index.root, definition=digest_of(letter)
        )
        promises = {**plain.promises, "image": self.name}
        made = dataclasses.replace(
            plain,
            manifest=manifest,
            promises=promises,
            signer=local_signer(self.ws),
            trust=self.trust,
        )
        store = self.ws.store
        store.put_document(PROMISES, promises)
        store.put_document("manifest", manifest.to_document())
        store.enter(IMAGE, f"{self.name}.sandbox.x86_64", made.image)
        self.images[letter] = made
        return made

    def index(self, letter: str) -> BlockIndex:
        data = block_of(f"{self.name} {letter}")
        return BlockIndex(blocks={0: hashlib.sha256(data).digest()})

    def account(self, region: str) -> Account:
        return Account(emulator=self.emulator, id=ACCOUNT, region=region)

    def publish(self, letter: str, region: str, **changes: Any) -> Ami:
        """Its AMI in a region, recorded and stated, and tried."""
        made, account = self.images[letter], self.account(region)
        snapshot = account.made({0: block_of(f"{self.name} {letter}")})
        ami = Ami(
            image=made.image, name=self.name, distribution="sandbox", stand_in=True,
            arch="x86_64", account=ACCOUNT, region=region, emulated=True,
            ami=account.register(snapshot, Name=ami_name(made.manifest)),
            ami_name=ami_name(made.manifest), snapshot=snapshot, kms_key=self.kms_key, volume_gib=1,
            root_device="/dev/xvda", block_root=made.manifest.block_root,
            blocks=keep_index(self.ws.store, self.index(letter)),
            promises=digest_of(made.promises),
        )  # fmt: skip
        ami = dataclasses.replace(ami, **changes)
        amis.keep(self.ws.store, ami)
        return ami

    def state(self, letter: str, ami: Ami, *but: str) -> None:
        """What publishing says of an AMI, but these links."""
        made = self.images[letter]
        root = made.manifest.block_root
        if "publication" not in but:
            said = Publication(ami=ami, block_root=root, blocks=1)
            made.say(PUBLICATION, said.predicate())
        if "trial" not in but:
            where = Launched(account=ami.account, region=ami.region, ami=ami.ami)
            made.say(VERIFICATION, made.trial(launched=where).predicate())

    def image(self, letter: str, *but: str) -> str:
        """An image with all its evidence (but these links) in every region; its digest."""
        made = self.press(letter)
        rows = {
            "provenance": (PROVENANCE, made.provenance()),
            "sbom": (SBOM, made.bill()),
            "verification": (VERIFICATION, made.verification()),
        }
        for link, (type_, value) in rows.items():
            if link not in but:
                made.say(type_, value.predicate())  # type: ignore[attr-defined]
        for region in self.regions:
            self.state(letter, self.publish(letter, region), *but)
        return made.image

    def ami(self, letter: str, region: str = "us-east-1") -> Ami:
        """The AMI of an image."""
        series = amis.series(
            name=self.name, distribution="sandbox", arch="x86_64", account=ACCOUNT, region=region
        )
        image = self.images[letter].image
        return next(a for a in amis.newest_first(self.ws.store, series) if a.image == image)

    # ---- the hosting site ----

    def file(self, channel: str, ref: str = "main") -> bytes:
        return self.github.hub.blob(f"{ref}:{self.path(channel)}")

    def edit(self, channel: str, digest: str, *, by: str = BOT, message: str = "change") -> str:
        """A commit on the branch of proposals that gives a channel this digest."""
        text = edited(parse_channel(self.file(channel), path=self.path(channel)), digest)
        return self.github.hub.commit(
            f"propose/{channel}", {self.path(channel): text.decode()}, by=by, message=message
        )

    def propose(self, channel: str, digest: str, **given: Any) -> Pull:
        """A new proposal on a branch that begins at `main`."""
        hub = self.github.hub
        branch = f"propose/{channel}"
        if f"refs/heads/{branch}" in hub.refs:
            hub.git("update-ref", "-d", f"refs/heads/{branch}")
            hub.notice()
        self.edit(channel, digest, **given)
        return hub.open(branch, by=given.get("by", BOT))

    def merge(self, pull: Pull, *approvers: str, method: str = "squash") -> str:
        """Approve it as these people, and merge it."""
        for who in approvers:
            self.github.hub.review(pull.number, who)
        return self.github.hub.merge(pull.number, method=method)

    def wanted(self, channel: str, digest: str) -> Pull:
        """A proposal that was approved by ann and merged."""
        pull = self.propose(channel, digest)
        self.merge(pull, "ann")
        return pull

    # ---- goldpress ----

    def check(self, pull: Pull, **given: Any) -> Checked:
        return checking.check(
            self.ws, pull.number, repo=self.github.repository, now=self.now, **given
        )

    def promote(self, channel: str, **given: Any) -> Outcome:
        """What came of the one image of the channel; raises its error."""
        outcomes = promoting.promote(
            self.ws, channel, repo=self.github.repository, now=self.now, **given
        )
        error = promoting.failure(outcomes)
        if error is not None:
            raise error
        (outcome,) = outcomes
        return outcome

    def in_force(self, channel: str, digest: str) -> Promotion:
        """Have a channel promote a digest, all the way."""
        self.wanted(channel, digest)
        promotion = self.promote(channel).promotion
        assert promotion is not None
        return promotion

    def soaked(self, letter: str, *but: str) -> str:
        """An image that staging has had in force for long enough."""
        digest = self.image(letter, *but)
        self.in_force("staging", digest)
        self.later += timedelta(hours=30)
        return digest

    def history(self, channel: str) -> tuple[Promotion, ...]:
        return history(self.ws.store, self.trust, self.name, channel)

    # ---- the cloud ----

    def parameter(self, name: str, region: str = "us-east-1") -> Parameter | None:
        return Parameters.at(Access(), region).get(name)

    def pointer(self, channel: str, region: str = "us-east-1") -> str:
        found = self.parameter(pointer_name(self.name, channel), region)
        return found.value if found else ""

    def versioned(self, channel: str, digest: str, region: str = "us-east-1") -> str:
        found = self.parameter(parameter_name(self.name, channel, digest), region)
        return found.value if found else ""

    def changed(self) -> dict[str, int]:
        """How often each call that changes something in the cloud was made."""
        calls: dict[str, int] = self.emulator.ask("calls")
        changing = ("Modify", "Enable", "Put", "Create", "Delete", "Add")
        return {k: n for k, n in calls.items() if k.partition(":")[2].startswith(changing)}


def held(site: Site, digest: str, why: str) -> None:
    """Hold a digest, as somebody on this machine."""
    hold(site.ws.store, site.trust, digest, why=why, signer=local_signer(site.ws))


def make_site(
    directory: Path, github: GitHubServer, emulator: Emulator, *, store_url: str = ""
) -> Site:
    """A site in a new directory; its image has a name of its own in the cloud."""
    name = f"web-{secrets.token_hex(4)}"
    project = directory / "project"
    image = project / "images" / name
    image.mkdir(parents=True)
    (image / "publish.yaml").write_text("regions: {us-east-1: {}, eu-west-1: {}}\n")
    (project / "trust.yaml").write_text("keys: {}\n")
    ws = Workspace(project=project, build=directory / "build", store_url=store_url)
    site = Site(ws=ws, github=github, emulator=emulator, name=name)
    # As `main` has it: nobody but this machine, for stand-ins, is believed.
    github.hub.commit("main", {"trust.yaml": "keys: {}\n"}, by="ann", message="trust")
    site.policy(staging=STAGING, prod=PROD)
    emulator.ask("settings", {"complete_seconds": 0.0})
    return site


@pytest.fixture
def site(
    tmp_path: Path, github: GitHubServer, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> Site:
    monkeypatch.setattr("goldpress.aws.ssm.POLL_SECONDS", 0.02)
    monkeypatch.setattr("goldpress.github.api.PAUSE_SECONDS", 0.01)
    monkeypatch.delenv("GOLDPRESS_SIGNER", raising=False)
    return make_site(tmp_path, github, emulator)
