"""Owns signing: which private key signs, where it is, and the key that this machine makes itself.

GOLDPRESS_SIGNER is ``file:PATH`` (a private key in PEM) or the name of a key in trust.yaml whose
`signer:` says where it is asked to sign. Without it only stand-ins are signed, with a key of this
machine that nobody else believes. Private keys are never copied, logged or told.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from securesystemslib import dsse
from securesystemslib.exceptions import Error as SignatureFailure
from securesystemslib.signer import CryptoSigner, Signature, SSlibKey
from securesystemslib.signer import Signer as SSlibSigner

from goldpress import progress
from goldpress.document import shown
from goldpress.errors import DocumentError, GoldpressError, MissingError, TrustError
from goldpress.statements.statement import Role
from goldpress.statements.trust import (
    NAME,
    UNUSABLE_KEY,
    Trust,
    TrustedKey,
    load_trust,
    local_key,
    parse_public,
)
from goldpress.workspace import Workspace

VARIABLE = "GOLDPRESS_SIGNER"
FILE = "file:"
KMS = "awskms:"
LOCAL_FILE = "statements.pem"
#: Nobody but the owner may read a private key.
OTHERS = 0o077


@dataclass(frozen=True, kw_only=True)
class Signer:
    """Something that signs, and the key by which others believe it."""

    key: TrustedKey
    signs: SSlibSigner = field(repr=False)

    def sign(self, envelope: dsse.Envelope) -> Signature:
        """The signature on an envelope. Raises CloudError or MissingError when none was made."""
        try:
            return envelope.sign(self.signs)
        except GoldpressError:
            raise
        except Exception as error:  # noqa: BLE001 - each signer of the library raises what its place raises
            raise _unusable(self.key.name, error) from None


def trust_here(ws: Workspace) -> Trust:
    """Who is believed here: trust.yaml's keys, and for stand-ins this machine's own if it has one.

    Raises MissingError or DocumentError.
    """
    return with_local(ws, load_trust(ws.project))


def with_local(ws: Workspace, trust: Trust) -> Trust:
    """These keys, and for stand-ins this machine's own if it has one.

    Raises DocumentError, TrustError when the machine's own is among them.
    """
    path = local_path(ws)
    return trust.with_key(local_key(read_private(path).public_key)) if path.exists() else trust


def configured(*, stand_in: bool, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether somebody signs: for stand-ins always, else where GOLDPRESS_SIGNER is set."""
    return stand_in or bool(environment.get(VARIABLE))


def signer_for(
    ws: Workspace, *, stand_in: bool, environment: Mapping[str, str] = os.environ
) -> Signer:
    """Who signs statements about stand-ins, or about images of real distributions.

    Raises MissingError when nobody is configured, DocumentError for a setting that cannot be used,
    TrustError for a key that trust.yaml does not name, or not for this class of images.
    """
    setting = environment.get(VARIABLE, "")
    if setting:
        found = chosen(setting, load_trust(ws.project))
        found.key.refuse_class(stand_in=stand_in)
        return found
    if stand_in:
        return local_signer(ws)
    raise MissingError(
        f"nobody signs: {VARIABLE} is not set",
        hint=f"set it to `{FILE}PATH` or to a key of {NAME} with a `signer:`; "
        "`./inv keys.make` makes a key",
    )


def chosen(setting: str, trust: Trust) -> Signer:
    """The signer that GOLDPRESS_SIGNER means. Raises as `signer_for`."""
    if setting.startswith(FILE):
        made = read_private(Path(setting.removeprefix(FILE)).expanduser())
        known = trust.find(made.public_key.keyid)
        if known is None:
            raise TrustError(
                f"{VARIABLE}: {NAME} does not name the key {made.public_key.keyid[:12]}",
                hint=f"nobody would believe it: add it to {NAME} by a pull request first",
            )
        return Signer(key=known, signs=made)
    if ":" in setting:
        raise DocumentError(
            f"{VARIABLE}: neither `{FILE}PATH` nor the name of a key",
            hint=f"write the URI as `signer:` of its key in {NAME}, and name that key here",
        )
    key = trust.named(setting)
    if not key.signer:
        raise MissingError(
            f"{NAME}: keys.{key.name} has no `signer:`",
            hint=f"its private key is in a file: {VARIABLE}={FILE}PATH",
        )
    return Signer(key=key, signs=_at(key))


def _at(key: TrustedKey) -> SSlibSigner:
    if key.signer.startswith(KMS):
        # boto3 takes its time, and a key in a file needs none of it.
        from goldpress.aws.signing import KmsSigner  # noqa: PLC0415

        return KmsSigner.of(key.signer.removeprefix(KMS), key.public)
    try:
        return SSlibSigner.from_priv_key_uri(key.signer, key.public)
    except Exception as error:  # noqa: BLE001 - each signer of the library raises what its place raises
        raise _unusable(key.name, error) from None


def local_path(ws: Workspace) -> Path:
    """Where this machine's own private key is, once it was made."""
    return ws.keys / LOCAL_FILE


def local_signer(ws: Workspace) -> Signer:
    """This machine's own key, made when it is not there yet; it is announced, as is what it is for.

    Raises DocumentError when the file is no key, TrustError when others may read it.
    """
    path = local_path(ws)
    if not path.exists():
        make_key(path)
        progress.note(f"made a key of this machine: {shown(path)}")
    progress.note("signing with this machine's own key: for stand-ins, and believed here only")
    made = read_private(path)
    return Signer(key=local_key(made.public_key), signs=made)


def make_key(path: Path) -> SSlibKey:
    """Make an Ed25519 key in a new file that only its owner can read; returns the public one.

    Raises DocumentError when the file is there already: a key is never overwritten.
    """
    made = CryptoSigner.generate_ed25519()
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(made.private_bytes)
            stream.flush()
            os.fsync(stream.fileno())
        # Unlike a rename this fails when someone else was first.
        os.link(scratch, path)
    except FileExistsError:
        raise DocumentError(
            f"{shown(path)}: is there already", hint="a key is never overwritten: name another file"
        ) from None
    finally:
        scratch.unlink(missing_ok=True)
    return made.public_key


def read_private(path: Path) -> CryptoSigner:
    """The private key in a PEM file. Raises MissingError, TrustError or DocumentError."""
    name = shown(path)
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            data = stream.read()
    except OSError as error:
        raise MissingError(
            f"{name}: the private key cannot be read: {error.strerror}",
            hint=f"correct {VARIABLE}, or make a key: `./inv keys.make`",
        ) from None
    if mode & OTHERS:
        raise TrustError(
            f"{name}: others than its owner can read this private key",
            hint=f"if nobody has: chmod 600 {name}; else make a new key and take it out of {NAME}",
        )
    try:
        made = CryptoSigner(load_pem_private_key(data, None))
        pem = public_pem(made.public_key)
    except (*UNUSABLE_KEY, SignatureFailure):
        # What they say could quote the file.
        raise DocumentError(f"{name}: not a private key in PEM without a passphrase") from None
    parse_public(pem.encode(), where=name)
    return made


def public_pem(key: SSlibKey) -> str:
    """The public key in PEM, as trust.yaml has it."""
    if key.keytype != "ed25519":
        return str(key.keyval["public"])
    # securesystemslib keeps these as raw bytes in hex.
    raw = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.keyval["public"]))
    return raw.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def entry(name: str, key: SSlibKey, roles: Sequence[Role], *, stand_in: bool = False) -> str:
    """The lines of trust.yaml that make others believe a key."""
    pem = "".join(f"      {line}\n" for line in public_pem(key).splitlines())
    kind = "    stand_in: true\n" if stand_in else ""
    return (
        f"  {name}:\n    keyid: {key.keyid}\n    public: |\n{pem}"
        f"    may: [{', '.join(roles)}]\n{kind}"
    )


def _unusable(name: str, error: Exception) -> MissingError:
    """Only the kind of the error is told: the library's messages may quote what they were given."""
    return MissingError(
        f"the signer of {name} cannot be used: {type(error).__name__}",
        hint=f"look at `signer:` of {name} in {NAME}, and whether this machine may use that key",
    )
