"""Owns what the site's API tells of pull requests, their reviews and their comments."""

from __future__ import annotations

from typing import Any

from goldpress.rehearsal.asked import Asked, Refused, Site
from goldpress.rehearsal.objects import commit_shape
from goldpress.rehearsal.site import Comment, Pull


def pull_shape(site: Site, pull: Pull, *, whole: bool = True) -> dict[str, Any]:
    """A pull request; a row of a list has less."""
    hub = site.hub
    repo = {"full_name": hub.name, "fork": False}
    fork = {"full_name": "guest/images", "fork": True}
    return {
        "url": f"{site.url}/repos/{hub.name}/pulls/{pull.number}",
        "html_url": f"https://github.com/{hub.name}/pull/{pull.number}",
        "number": pull.number, "state": pull.state, "locked": False, "draft": False,
        "title": pull.title, "body": pull.body or None, "user": hub.user(pull.by),
        "head": {"ref": pull.branch, "sha": pull.head, "repo": fork if pull.fork else repo},
        "base": {"ref": pull.base, "sha": pull.base_commit, "repo": repo},
        "merged_at": pull.merged_at or None,
        "merge_commit_sha": pull.merge_commit or "f" * 40,
        **({
            "merged": bool(pull.merged_at), "merged_by": hub.user(pull.merged_by or None),
            "commits": len(hub.commits(pull)), "mergeable": None,
        } if whole else {}),
    }  # fmt: skip


def comment_shape(site: Site, comment: Comment) -> dict[str, Any]:
    """A comment of a pull request."""
    page = f"https://github.com/{site.hub.name}/pull/{comment.number}"
    return {
        "id": comment.id, "body": comment.body, "user": site.hub.user(comment.by),
        "html_url": f"{page}#issuecomment-{comment.id}",
    }  # fmt: skip


def list_pulls(site: Site, asked: Asked) -> Any:
    """GET pulls."""
    owner = site.hub.name.partition("/")[0]
    query = asked.query
    return [
        pull_shape(site, pull, whole=False)
        for pull in reversed(site.hub.pulls)
        if query.get("state", "open") in {"all", pull.state}
        and query.get("head", f"{owner}:{pull.branch}") == f"{owner}:{pull.branch}"
        and query.get("base", pull.base) == pull.base
    ]


def open_pull(site: Site, asked: Asked) -> Any:
    """POST pulls."""
    body, hub = asked.body, site.hub
    branch, base = body["head"], body["base"]
    if f"refs/heads/{branch}" not in hub.refs:
        invalid = {"resource": "PullRequest", "field": "head", "code": "invalid"}
        raise Refused(422, "Validation Failed", [invalid])
    if any(p.state == "open" and (p.branch, p.base) == (branch, base) for p in hub.pulls):
        told = f"A pull request already exists for {hub.name.partition('/')[0]}:{branch}."
        twice = {"resource": "PullRequest", "code": "custom", "message": told}
        raise Refused(422, "Validation Failed", [twice])
    made = hub.open(branch, by=asked.by, title=body["title"], body=body["body"], base=base)
    return pull_shape(site, made)


def get_pull(site: Site, _: Asked, number: str) -> Any:
    """GET pulls/N."""
    return pull_shape(site, site.hub.pull(int(number)))


def change_pull(site: Site, asked: Asked, number: str) -> Any:
    """PATCH pulls/N."""
    found = site.hub.pull(int(number))
    found.title = asked.body.get("title", found.title)
    found.body = asked.body.get("body", found.body)
    found.state = asked.body.get("state", found.state)
    return pull_shape(site, found)


def reviews(site: Site, _: Asked, number: str) -> Any:
    """GET pulls/N/reviews."""
    return [
        {
            "id": n, "user": site.hub.user(row.by), "body": "", "state": row.state,
            "commit_id": row.commit or None, "submitted_at": row.at,
            "author_association": "COLLABORATOR",
        }
        for n, row in enumerate(site.hub.pull(int(number)).reviews)
    ]  # fmt: skip


def pull_commits(site: Site, _: Asked, number: str) -> Any:
    """GET pulls/N/commits."""
    return [commit_shape(site, id_) for id_ in site.hub.commits(site.hub.pull(int(number)))][:250]


def commit_pulls(site: Site, _: Asked, id_: str) -> Any:
    """GET commits/ID/pulls."""
    return [pull_shape(site, pull, whole=False) for pull in site.hub.pulls_of(id_)]


def list_comments(site: Site, _: Asked, number: str) -> Any:
    """GET issues/N/comments."""
    return [comment_shape(site, c) for c in site.hub.comments if c.number == int(number)]


def add_comment(site: Site, asked: Asked, number: str) -> Any:
    """POST issues/N/comments."""
    site.hub.pull(int(number))
    made = Comment(id=site.hub.id(), number=int(number), by=asked.by, body=asked.body["body"])
    site.hub.comments.append(made)
    return comment_shape(site, made)


def change_comment(site: Site, asked: Asked, id_: str) -> Any:
    """PATCH issues/comments/N."""
    found = next(c for c in site.hub.comments if c.id == int(id_))
    found.body = asked.body["body"]
    return comment_shape(site, found)
