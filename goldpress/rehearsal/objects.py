"""Owns what the site's API tells of git's objects: commits, trees, blobs, branches."""

from __future__ import annotations

import base64
from typing import Any

from goldpress.rehearsal.asked import Asked, Refused, Site


def commit_shape(site: Site, id_: str) -> dict[str, Any]:
    """A commit, as the list of commits has it."""
    form = "%T%x00%P%x00%an%x00%ae%x00%cn%x00%ce%x00%aI%x00%B"
    tree, parents, an, ae, cn, ce, at, message = site.hub.git(
        "show", "-s", f"--format={form}", id_
    ).split("\0")
    author = {"name": an, "email": ae, "date": at}
    committer = {"name": cn, "email": ce, "date": at}
    return {
        "sha": id_, "parents": [{"sha": parent} for parent in parents.split()],
        "commit": {
            "author": author, "committer": committer, "message": message.strip(),
            "tree": {"sha": tree}, "verification": {"verified": False},
        },
        "author": site.hub.user(site.hub.login(ae)),
        "committer": site.hub.user(site.hub.login(ce)),
    }  # fmt: skip


def git_commit(site: Site, _: Asked, id_: str) -> Any:
    """GET git/commits/ID."""
    whole = commit_shape(site, id_)
    return {"sha": id_, "parents": whole["parents"], **whole["commit"]}


def git_tree(site: Site, asked: Asked, id_: str) -> Any:
    """GET git/trees/ID."""
    options = ["-r", "-t"] if asked.query.get("recursive") else []
    rows = []
    for line in site.hub.git("ls-tree", *options, id_).splitlines():
        about, _, path = line.partition("\t")
        mode, kind, blob = about.split()
        rows.append({"path": path, "mode": mode, "type": kind, "sha": blob})
    return {"sha": id_, "tree": rows, "truncated": "truncated" in site.hidden}


def git_blob(site: Site, _: Asked, id_: str) -> Any:
    """GET git/blobs/ID."""
    data = site.hub.blob(id_)
    # With line ends, as GitHub's.
    content = base64.encodebytes(data).decode()
    return {"sha": id_, "size": len(data), "encoding": "base64", "content": content}


def contents(site: Site, asked: Asked, path: str) -> Any:
    """GET contents/NAME."""
    row = site.hub.git("ls-tree", asked.query["ref"], "--", path)
    _, kind, blob = row.partition("\t")[0].split() if row else ("", "", "")
    if not row:
        raise Refused(404, "Not Found")
    if kind == "tree":
        return []
    return {"type": "file", "path": path, "sha": blob, **git_blob(site, asked, blob)}


def list_commits(site: Site, asked: Asked) -> Any:
    """GET commits."""
    query = asked.query
    paths = ["--", query["path"]] if "path" in query else []
    found = site.hub.git("rev-list", query["sha"], *paths).split()
    return [commit_shape(site, id_) for id_ in found]


def repository_itself(site: Site, _: Asked) -> Any:
    """GET of the repository itself."""
    return {"full_name": site.hub.name, "default_branch": "main", "private": True}


def compare(site: Site, _: Asked, base: str, head: str) -> Any:
    """GET compare/ID...ID."""
    found = site.hub.git("merge-base", base, head)
    return {"merge_base_commit": commit_shape(site, found), "status": "diverged", "commits": []}


def branch(site: Site, _: Asked, name: str) -> Any:
    """GET branches/NAME."""
    ref = site.hub.refs[f"refs/heads/{name}"]
    return {"name": name, "commit": commit_shape(site, ref), "protected": True}
