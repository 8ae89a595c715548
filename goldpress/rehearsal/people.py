"""Owns what the site's API tells of people: who asks, what they may, and who moved a branch."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256

from goldpress.rehearsal.asked import Asked, Refused, Site
from goldpress.rehearsal.site import BOT, Activity

APP_ID = "Iv23abc"
INSTALLATION = 7
#: The longest life of a JSON web token that GitHub takes.
JWT_SECONDS = 600


def list_activity(site: Site, asked: Asked) -> Any:
    """GET activity."""
    ref = asked.query["ref"]
    return [activity_shape(site, a) for a in reversed(site.hub.activity) if a.ref == ref]


def activity_shape(site: Site, row: Activity) -> Any:
    """A row of a branch's activity."""
    return {
        "id": row.id, "node_id": "PSH_1", "before": row.before, "after": row.after,
        "ref": row.ref, "timestamp": row.at, "activity_type": row.kind,
        "actor": site.hub.user(row.by),
    }  # fmt: skip


def permission(site: Site, _: Asked, login: str) -> Any:
    """GET collaborators/LOGIN/permission."""
    found = site.hub.people[login]
    return {
        "permission": found.permission, "role_name": found.permission,
        "user": site.hub.user(login),
    }  # fmt: skip


def graphql(site: Site, asked: Asked) -> Any:
    """POST graphql."""
    user = site.hub.user(asked.by)
    if "viewer" not in asked.body["query"] or user is None:
        raise Refused(400, "A query that this server does not know")
    return {"data": {"viewer": {"login": user["login"], "databaseId": user["id"]}}}


def installation(_site: Site, _: Asked) -> Any:
    """GET installation."""
    return {"id": INSTALLATION, "app_id": 1, "permissions": {"contents": "write"}}


def access_token(site: Site, asked: Asked) -> Any:
    """POST app/installations/N/access_tokens."""
    if asked.body != {"repositories": [site.hub.name.partition("/")[2]]}:
        raise Refused(422, "There is at least one repository that does not exist")
    made = f"ghs_installation{site.hub.id()}"
    site.tokens[made] = BOT
    return {"token": made, "expires_at": "2026-11-01T09:00:00Z", "permissions": {}}


def caller(site: Site, header: str, path: str) -> str:
    """The login behind an Authorization header. Raises Refused."""
    secret = header.removeprefix("Bearer ")
    if path in {"installation", f"app/installations/{INSTALLATION}/access_tokens"}:
        _check_jwt(site, secret)
        return BOT
    if not header.startswith("Bearer ") or secret not in site.tokens:
        raise Refused(401, "Bad credentials")
    return site.tokens[secret]


def _check_jwt(site: Site, secret: str) -> None:
    head, _, signature = secret.rpartition(".")
    if site.app_key is None:
        raise Refused(401, "A JSON web token could not be decoded")
    try:
        padded = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
        site.app_key.verify(padded, head.encode(), padding.PKCS1v15(), SHA256())
        text = head.partition(".")[2]
        claims = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (InvalidSignature, ValueError):
        raise Refused(401, "A JSON web token could not be decoded") from None
    if claims["iss"] != APP_ID or not 0 < claims["exp"] - time.time() <= JWT_SECONDS:
        raise Refused(401, "'Expiration time' claim ('exp') is too far in the future")
