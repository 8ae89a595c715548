"""Owns requests to GitHub's REST API: bounded retries and pages, errors translated once.

    GITHUB_API_URL      another server than github.com's
    GITHUB_REPOSITORY   owner/name

Both as GitHub's own runners set them.
"""

from __future__ import annotations

import base64
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import requests
from requests.auth import AuthBase

from goldpress.errors import DocumentError, GitHubError, MissingError
from goldpress.github.token import APP, TOKEN, App, Token, credential, now
from goldpress.progress import note

URL = "https://api.github.com"
#: The next version, 2026-03-10, no longer tells by which commit a pull request was merged.
API_VERSION = "2022-11-28"
TIMEOUT = (10.0, 30.0)
ATTEMPTS = 4
PAUSE_SECONDS = 1.0
#: A limit that ends sooner is waited for; no command hangs for the hour that some last.
LONGEST_PAUSE_SECONDS = 90.0
PER_PAGE = 100
#: More pages than anything here has: what is longer is refused, never cut.
PAGES = 50
REPOSITORY = re.compile(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+")
#: They may be sent again after an answer was lost.
REPEATABLE = frozenset({"GET", "PATCH", "DELETE"})
PASSING = frozenset({500, 502, 503, 504})
LIMITED = frozenset({403, 429})
NOT_FOUND = 404


class _Bearer(AuthBase):
    """An Authorization header. As requests' `auth`, so that no .netrc puts another in its place."""

    def __init__(self, secret: str) -> None:
        self.secret = secret

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.secret}"
        return request


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A repository on GitHub, and who calls."""

    name: str
    caller: Token | App = field(repr=False)
    url: str = URL

    @cached_property
    def _session(self) -> requests.Session:
        session = requests.Session()
        session.headers.update({
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": API_VERSION,
            "User-Agent": "goldpress",
        })  # fmt: skip
        return session

    @cached_property
    def _auth(self) -> _Bearer:
        if isinstance(self.caller, Token):
            return _Bearer(self.caller.secret)
        # An hour is longer than any command that asks GitHub.
        return _Bearer(self._installation_token(self.caller))

    def git_header(self) -> str:
        """The header by which git may push to this repository over HTTPS: a secret."""
        pair = base64.b64encode(f"x-access-token:{self._auth.secret}".encode()).decode()
        return f"Authorization: Basic {pair}"

    def get(self, path: str, /, **query: str | int) -> Any:
        """The JSON at ``/repos/<name>/<path>``. Raises GitHubError."""
        return _json(self._called("GET", self._at(path), query=query), path)

    def find(self, path: str, /, **query: str | int) -> Any | None:
        """The same, or None when GitHub knows no such thing (or does not show it)."""
        try:
            return self.get(path, **query)
        except GitHubError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    def pages(self, path: str, /, **query: str | int) -> Iterator[Any]:
        """Every row of a list, page by page. Raises GitHubError, also for one without an end."""
        url = self._at(path)
        asked: Mapping[str, str | int] = {"per_page": PER_PAGE, **query}
        for _ in range(PAGES):
            answer = self._called("GET", url, query=asked)
            rows = _json(answer, path)
            if not isinstance(rows, list):
                raise GitHubError(f"{self.name}: {path}: GitHub's answer is no list")
            yield from rows
            following = answer.links.get("next", {}).get("url")
            if not following:
                return
            if not following.startswith(f"{self.url}/"):
                raise GitHubError(f"{self.name}: {path}: its next page is at another server")
            url, asked = following, {}
        raise GitHubError(f"{self.name}: {path}: more than {PAGES * PER_PAGE} rows")

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Make something; sent once, unless GitHub refused it as one request too many."""
        return _json(self._called("POST", self._at(path), body=body), path)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """Change something to what `body` says."""
        return _json(self._called("PATCH", self._at(path), body=body), path)

    def ask(self, query: str) -> Any:
        """The answer to a GraphQL query, which changes nothing."""
        # GitHub's own servers have it beside /api/v3, github.com has it below.
        url = f"{self.url.removesuffix('/v3')}/graphql"
        return _json(self._called("POST", url, body={"query": query}), "graphql")

    def _at(self, path: str) -> str:
        return f"{self.url}/repos/{self.name}/{path}" if path else f"{self.url}/repos/{self.name}"

    def _called(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
        auth: AuthBase | None = None,
    ) -> requests.Response:
        """The answer to one request, repeated where that is safe and may help."""
        what = f"GitHub {self.name}: {method} {url.removeprefix(self.url)}"
        for attempt in range(1, ATTEMPTS + 1):
            last = attempt == ATTEMPTS
            try:
                answer = self._session.request(
                    method,
                    url,
                    params=query,
                    json=body,
                    auth=auth or self._auth,
                    timeout=TIMEOUT,
                    # Elsewhere the token would be shown to somebody else.
                    allow_redirects=False,
                )
            except requests.RequestException as error:
                if last or method not in REPEATABLE:
                    raise GitHubError(
                        f"{what}: no answer: {type(error).__name__}",
                        hint="check the network, HTTPS_PROXY and GITHUB_API_URL",
                    ) from None
                time.sleep(PAUSE_SECONDS * attempt)
                continue
            pause = _pause(answer, method, attempt)
            if pause is None or last:
                break
            if pause > LONGEST_PAUSE_SECONDS:
                raise GitHubError(
                    f"{what}: too many requests; GitHub answers again in {pause:.0f} s",
                    status=answer.status_code,
                    hint="run the command again then",
                )
            if pause > PAUSE_SECONDS * ATTEMPTS:
                note(f"GitHub is busy: waiting {pause:.0f} s")
            time.sleep(pause)
        if not answer.ok or answer.is_redirect:
            raise refusal(answer, what)
        return answer

    def _installation_token(self, app: App) -> str:
        jwt = _Bearer(app.jwt(now()))
        with understood(self, "the App's installation"):
            found = _json(self._called("GET", self._at("installation"), auth=jwt), "installation")
            url = f"{self.url}/app/installations/{int(found['id'])}/access_tokens"
            body = {"repositories": [self.name.partition("/")[2]]}
            answer = self._called("POST", url, body=body, auth=jwt)
            return str(_json(answer, "access_tokens")["token"])


def repository(environment: Mapping[str, str] = os.environ) -> Repository:
    """The repository that the environment names. Raises MissingError or DocumentError."""
    found = find_repository(environment)
    if found is None:
        raise MissingError(
            "no GitHub token",
            hint=f"set {TOKEN}, or {APP} and {APP}_KEY; README tells which permissions it needs",
        )
    return found


def find_repository(environment: Mapping[str, str] = os.environ) -> Repository | None:
    """The same, or None without a token: for what can be done without one."""
    caller = credential(environment)
    if caller is None:
        return None
    name = environment.get("GITHUB_REPOSITORY", "")
    if not name:
        raise MissingError("GITHUB_REPOSITORY is not set", hint="set it to owner/name")
    if not REPOSITORY.fullmatch(name):
        raise DocumentError(f"GITHUB_REPOSITORY={name}: expected owner/name")
    url = (environment.get("GITHUB_API_URL") or URL).rstrip("/")
    if not url.startswith(("https://", "http://127.0.0.1:")):
        raise DocumentError("GITHUB_API_URL: a token is sent over https only")
    return Repository(name=name, caller=caller, url=url)


def refusal(answer: requests.Response, what: str) -> GitHubError:
    """What GitHub's refusal means to a person."""
    status = answer.status_code
    told = _told(answer)
    meaning = _MEANINGS.get(status)
    if meaning is None and answer.is_redirect:
        meaning = ("the repository has another name now", "correct GITHUB_REPOSITORY")
    if meaning is None:
        return GitHubError(f"{what}: {status}: {told}", status=status)
    text, hint = meaning
    return GitHubError(f"{what}: {text} ({status}: {told})", status=status, hint=hint)


_MEANINGS: Mapping[int, tuple[str, str]] = {
    401: ("GitHub does not accept the token", f"it may have expired: set a new {TOKEN}"),
    403: ("GitHub denies it", "README tells which permissions the App or token needs"),
    404: (
        "GitHub shows no such thing",
        "also what the token may not see is `not found`: README tells which permissions it needs",
    ),
    429: ("too many requests", "run the command again in some minutes"),
    **dict.fromkeys(PASSING, ("GitHub has a problem", "run the command again in some minutes")),
}


@contextmanager
def understood(repo: Repository, what: str) -> Iterator[None]:
    """An answer that is not in its documented form becomes a GitHubError about `what`."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise GitHubError(
            f"GitHub {repo.name}: {what}: not in the form that I know: {error!r:.200}"
        ) from None


def _pause(answer: requests.Response, method: str, attempt: int) -> float | None:
    """How long to wait before the same request is worth sending again; None: never."""
    if answer.status_code in PASSING:
        return PAUSE_SECONDS * attempt if method in REPEATABLE else None
    if answer.status_code not in LIMITED:
        return None
    # Refused before anything was done: also a POST may be sent again.
    if (after := _number(answer, "retry-after")) is not None:
        return after
    if _number(answer, "x-ratelimit-remaining") == 0:
        reset = _number(answer, "x-ratelimit-reset")
        return None if reset is None else max(1.0, reset - now() + 1)
    return None


def _number(answer: requests.Response, header: str) -> float | None:
    text = answer.headers.get(header, "")
    return float(text) if text.isdecimal() else None


def _told(answer: requests.Response) -> str:
    """GitHub's own words, in one line."""
    try:
        body = answer.json()
        words = [str(body["message"])]
        words += [_word(row) for row in body.get("errors", [])]
    except (ValueError, KeyError, TypeError, AttributeError):
        return answer.reason or "no reason told"
    return "; ".join(" ".join(word.split()) for word in words)[:300]


def _word(row: Any) -> str:
    """One of the `errors`: a text, or {resource, field, code, message}."""
    if isinstance(row, dict):
        return str(row.get("message") or f"{row.get('field')}: {row.get('code')}")
    return str(row)


def _json(answer: requests.Response, path: str) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise GitHubError(
            f"GitHub: {path}: the answer is no JSON",
            hint="a proxy may have answered in its place: check HTTPS_PROXY and GITHUB_API_URL",
        ) from None
