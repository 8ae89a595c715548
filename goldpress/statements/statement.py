"""Owns the statement: what someone says of one image digest (in-toto Statement v1).

Its bytes are canonical JSON. Whatever else says the same is refused: one statement has one form,
so that nothing in it can be changed without being noticed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from goldpress.digest import canonical_json
from goldpress.errors import DocumentError

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"

PROVENANCE = "https://slsa.dev/provenance/v1"
SBOM = "https://cyclonedx.org/bom"
VERIFICATION = "https://in-toto.io/attestation/test-result/v0.1"
PUBLICATION = "https://goldpress.invalid/publication/v1"
PROMOTION = "https://goldpress.invalid/promotion/v1"
HOLD = "https://goldpress.invalid/hold/v1"

Role = Literal["build", "verify", "publish", "promote", "hold"]
#: Who says what: a predicate belongs to one role, and a key signs for the roles that it has.
ROLES: Mapping[str, Role] = {
    PROVENANCE: "build",
    SBOM: "build",
    VERIFICATION: "verify",
    PUBLICATION: "publish",
    PROMOTION: "promote",
    HOLD: "hold",
}

#: What taking a value apart raises when it is of another form.
MALFORMED = (
    LookupError, TypeError, ValueError, AttributeError, ArithmeticError, OSError, RecursionError,
)  # fmt: skip

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_HEX = re.compile(r"[0-9a-f]{64}")
_SUBJECT = "image"


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What is said of the image with the digest `image` (``sha256:...``).

    `predicate` is plain JSON. `by` is the key that signed it, as trust.yaml calls it; empty before
    its envelope was opened.
    """

    image: str
    predicate_type: str
    predicate: Mapping[str, Any]
    by: str = ""

    @property
    def role(self) -> Role:
        """The role that a key needs to sign this. Raises DocumentError for an unknown type."""
        return role_of(self.predicate_type)

    def payload(self) -> bytes:
        """The bytes that are signed. Raises DocumentError for what no statement can say."""
        found = _DIGEST.fullmatch(self.image)
        if found is None:
            raise DocumentError(f"statement: {self.image!r} is not an image digest")
        role_of(self.predicate_type)
        return canonical_json(
            {
                "_type": STATEMENT_TYPE,
                "subject": [{"name": _SUBJECT, "digest": {"sha256": found[1]}}],
                "predicateType": self.predicate_type,
                "predicate": dict(self.predicate),
            }
        )


def role_of(predicate_type: str) -> Role:
    """The role that speaks so. Raises DocumentError for a type that is not known."""
    try:
        return ROLES[predicate_type]
    except KeyError:
        raise DocumentError(
            f"statement: predicateType: {predicate_type!r:.100} is not known"
        ) from None


def parse_payload(data: bytes, *, by: str = "") -> Statement:
    """The inverse of `payload`. Raises DocumentError that names what is wrong."""
    value = strictly(data, what="statement")
    expected = {"_type", "subject", "predicateType", "predicate"}
    if set(value) != expected:
        raise DocumentError(f"statement: expected {sorted(expected)}, not {sorted(value)!r:.200}")
    if value["_type"] != STATEMENT_TYPE:
        raise DocumentError(f"statement: _type: expected {STATEMENT_TYPE}")
    predicate, type_ = value["predicate"], value["predicateType"]
    if not isinstance(predicate, dict) or not isinstance(type_, str):
        raise DocumentError("statement: predicate: expected a mapping, and its type as text")
    role_of(type_)
    return Statement(
        image=_image(value["subject"]), predicate_type=type_, predicate=predicate, by=by
    )


def _image(subject: Any) -> str:
    match subject:
        case [{"name": "image", "digest": {"sha256": str(found), **others}, **more}] if (
            not others and not more and _HEX.fullmatch(found)
        ):
            return f"sha256:{found}"
    raise DocumentError("statement: subject: expected one image, by its sha256 and nothing else")


def strictly(data: bytes, *, what: str) -> dict[str, Any]:
    """The mapping that these bytes are the canonical JSON of. Raises DocumentError for others."""
    try:
        value = json.loads(data)
        canonical = canonical_json(value)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{what}: not JSON: {str(error)[:100]}") from None
    if not isinstance(value, dict):
        raise DocumentError(f"{what}: expected a mapping")
    if canonical != data:
        raise DocumentError(f"{what}: not in its canonical form: its bytes were changed")
    return value
