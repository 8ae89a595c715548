"""Owns trust: `trust.yaml` in git, the keys that are believed, and what each may sign.

A key of stand-ins never vouches for an image of a real distribution, nor the other way round.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import Field
from securesystemslib.signer import (
    ECDSA_SHA2_NISTP256,
    ECDSA_SHA2_NISTP384,
    ED25519,
    RSASSA_PSS_SHA256,
    SSlibKey,
)

from goldpress.digest import short
from goldpress.document import Part, matching, parse, parse_yaml, shown
from goldpress.errors import DocumentError, MissingError, TrustError
from goldpress.statements.statement import Role

NAME = "trust.yaml"
SCHEMES = (ED25519, ECDSA_SHA2_NISTP256, ECDSA_SHA2_NISTP384, RSASSA_PSS_SHA256)
KEY_BITS = 3072
#: What the library `cryptography` raises for bytes that are no key, or one that it cannot use.
UNUSABLE_KEY = (ValueError, TypeError, UnsupportedAlgorithm, InternalError)
EVERY_ROLE: tuple[Role, ...] = ("build", "verify", "publish", "promote", "hold")
#: What the machine's own key is called; not a name that trust.yaml can give.
LOCAL = "(this machine)"

KeyName = Annotated[str, matching(r"[a-z0-9][a-z0-9.-]{0,62}", "the name of a key")]
KeyId = Annotated[str, matching(r"[0-9a-f]{64}", "a keyid: 64 hex digits")]
SignerUri = Annotated[str, matching(r"[a-z0-9]+:\S+", "the URI of a signer, such as awskms:...")]


class KeyEntry(Part):
    """One key of trust.yaml: the public key (PEM), its id, and what it may sign.

    `signer` is where the private key can be asked to sign, if that is no secret: a key of KMS.
    """

    keyid: KeyId
    public: Annotated[str, Field(max_length=4096)]
    may: Annotated[tuple[Role, ...], Field(min_length=1)]
    stand_in: bool = False
    signer: SignerUri | None = None


class TrustFile(Part):
    """The whole file."""

    keys: dict[KeyName, KeyEntry]


@dataclass(frozen=True, kw_only=True)
class TrustedKey:
    """A public key, its name, the roles that it signs for, and for which class of images."""

    name: str
    public: SSlibKey
    roles: tuple[Role, ...]
    stand_in: bool
    signer: str = ""

    @property
    def keyid(self) -> str:
        """The sha256 of the public key in its canonical form."""
        return self.public.keyid

    def refuse_other(self, role: Role) -> None:
        """Raises TrustError when this key does not sign for `role`."""
        if role not in self.roles:
            raise TrustError(
                f"the key {self.name} may not sign {role} statements, only {_row(self.roles)}",
                hint=f"take another key, or have `may` changed in {NAME} by a pull request",
            )

    def refuse_class(self, *, stand_in: bool) -> None:
        """Raises TrustError when this key is not for this class of images."""
        if stand_in != self.stand_in:
            raise TrustError(
                f"the key {self.name} vouches for {_class(self.stand_in)}, never for "
                f"{_class(stand_in)}"
            )


@dataclass(frozen=True, kw_only=True)
class Trust:
    """The keys that are believed."""

    keys: tuple[TrustedKey, ...] = ()

    def __iter__(self) -> Iterator[TrustedKey]:
        return iter(self.keys)

    def find(self, keyid: str) -> TrustedKey | None:
        """The key with this id."""
        return next((key for key in self.keys if key.keyid == keyid), None)

    def named(self, name: str) -> TrustedKey:
        """The key with this name. Raises MissingError."""
        found = next((key for key in self.keys if key.name == name), None)
        if found is None:
            known = _row(sorted(key.name for key in self.keys)) or "no key"
            raise MissingError(f"{NAME} has no key {name!r}", hint=f"it has {known}")
        return found

    def key(self, keyid: str, role: Role, *, stand_in: bool, what: str) -> TrustedKey:
        """The key that may say `what`. Raises TrustError when it is not trusted, or not for it."""
        found = self.find(keyid)
        if found is None:
            raise TrustError(
                f"{what}: signed by the key {keyid[:12]!r}, which is not trusted",
                hint=f"{NAME} names the keys that are; stand-ins are judged where they were made",
            )
        try:
            found.refuse_class(stand_in=stand_in)
            found.refuse_other(role)
        except TrustError as error:
            raise TrustError(f"{what}: {error.message}", hint=error.hint) from None
        return found

    def with_key(self, key: TrustedKey) -> Trust:
        """This trust and one key more. Raises TrustError when it is there already."""
        found = self.find(key.keyid)
        if found is not None:
            raise TrustError(
                f"the key {key.name} is {NAME}'s {found.name}: one key has one place",
                hint=f"remove it from {NAME}, or from this machine",
            )
        return Trust(keys=(*self.keys, key))


def load_trust(project: Path) -> Trust:
    """The keys of the project's trust.yaml. Raises MissingError or DocumentError."""
    path = project / NAME
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise MissingError(
            f"{shown(path)}: there is no such file", hint="restore it from git"
        ) from None
    return parse_trust(data, name=shown(path))


def parse_trust(data: bytes, *, name: str = NAME) -> Trust:
    """The keys in a trust.yaml with these bytes. Raises DocumentError, which calls it `name`."""
    value = parse(TrustFile, parse_yaml(data, name=name), name=name)
    keys: list[TrustedKey] = []
    for title, entry in value.keys.items():
        where = f"{name}: keys.{title}"
        public = parse_public(entry.public.encode(), where=f"{where}.public")
        if public.keyid != entry.keyid:
            raise DocumentError(
                f"{where}.keyid: the public key's id is {public.keyid}",
                hint="one of the two was changed: compare with what `./inv keys.make` printed",
            )
        if len(set(entry.may)) != len(entry.may):
            raise DocumentError(f"{where}.may: a role is listed twice")
        if any(key.keyid == public.keyid for key in keys):
            raise DocumentError(f"{where}: this key is there already, under another name")
        keys.append(
            TrustedKey(
                name=title,
                public=public,
                roles=entry.may,
                stand_in=entry.stand_in,
                signer=entry.signer or "",
            )
        )
    return Trust(keys=tuple(keys))


def parse_public(pem: bytes, *, where: str) -> SSlibKey:
    """A public key. Raises DocumentError for what is none, or of a kind that is not used here."""
    try:
        loaded = load_pem_public_key(pem)
        key = SSlibKey.from_crypto(loaded)
    except UNUSABLE_KEY as error:
        raise DocumentError(f"{where}: not a public key in PEM: {str(error)[:80]}") from None
    bits = getattr(loaded, "key_size", 0)
    if key.scheme not in SCHEMES or (key.scheme == RSASSA_PSS_SHA256 and bits < KEY_BITS):
        raise DocumentError(
            f"{where}: {key.scheme} is not used here",
            hint=f"use one of {', '.join(SCHEMES)} (RSA from {KEY_BITS} bits)",
        )
    return key


def local_key(public: SSlibKey) -> TrustedKey:
    """This machine's own key: every role, for stand-ins alone."""
    return TrustedKey(name=LOCAL, public=public, roles=EVERY_ROLE, stand_in=True)


def _row(values: Iterable[str]) -> str:
    return ", ".join(values)


def _class(stand_in: bool) -> str:
    return "stand-ins" if stand_in else "images of real distributions"


def told(key: TrustedKey) -> str:
    """A key in a line, for people."""
    return f"{key.name} {short(key.keyid)}: {_row(key.roles)}, {_class(key.stand_in)}"
