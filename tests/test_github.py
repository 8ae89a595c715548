"""GitHub as goldpress asks it: pull requests, comments, trees; retries, pages, refusals."""

from __future__ import annotations

import dataclasses
import logging
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from github_server import TOKEN, GitHubServer

from goldpress.errors import DocumentError, GitHubError, MissingError
from goldpress.github import api, comments, pulls, trees
from goldpress.github.api import find_repository, repository
from goldpress.github.identity import identity
from goldpress.github.token import App, credential, now
from goldpress.rehearsal.people import APP_ID
from goldpress.rehearsal.site import BOT

CHANNEL = "images/web/channels/staging.yaml"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "PAUSE_SECONDS", 0.01)


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture(scope="session")
def app_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


# ---- who calls ----


def test_a_ready_token_is_taken_from_the_environment_and_never_shown(github: GitHubServer) -> None:
    found = repository(github.environment)
    assert (found.name, found.url) == ("example/images", github.url)
    assert pulls.head_of(found, "main") == github.hub.refs["refs/heads/main"]
    assert TOKEN not in repr(found)
    assert TOKEN not in str(vars(found))


def test_an_app_asks_for_a_token_of_its_installation_once(
    github: GitHubServer, app_key: rsa.RSAPrivateKey, tmp_path: Path
) -> None:
    github.app_key = app_key.public_key()
    path = tmp_path / "app.pem"
    path.write_text(pem(app_key))
    for key in (pem(app_key), str(path)):
        environment = {
            "GITHUB_API_URL": github.url,
            "GITHUB_REPOSITORY": "example/images",
            "GOLDPRESS_GITHUB_APP": APP_ID,
            "GOLDPRESS_GITHUB_APP_KEY": key,
        }
        found = repository(environment)
        github.asked.clear()
        for _ in range(2):
            assert pulls.head_of(found, "main")
        assert github.calls() == [
            "GET installation",
            "POST app/installations/7/access_tokens",
            *["GET branches/main"] * 2,
        ]
        assert "PRIVATE" not in repr(found)


def test_another_apps_key_is_refused(github: GitHubServer, app_key: rsa.RSAPrivateKey) -> None:
    github.app_key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    caller = App(id=APP_ID, key=app_key)
    repo = api.Repository(name="example/images", caller=caller, url=github.url)
    with pytest.raises(GitHubError, match="GitHub does not accept the token") as caught:
        pulls.head_of(repo, "main")
    assert "(401: A JSON web token could not be decoded)" in caught.value.message


def test_a_jwt_lives_for_less_than_ten_minutes(app_key: rsa.RSAPrivateKey) -> None:
    text = App(id="12", key=app_key).jwt(1000.7)
    assert text.startswith("eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.")
    assert "=" not in text


def test_without_a_token_there_is_no_repository() -> None:
    assert find_repository({"GITHUB_REPOSITORY": "a/b"}) is None
    with pytest.raises(MissingError, match="no GitHub token") as caught:
        repository({"GITHUB_REPOSITORY": "a/b"})
    assert "set GOLDPRESS_GITHUB_TOKEN, or GOLDPRESS_GITHUB_APP" in caught.value.hint


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {"GOLDPRESS_GITHUB_TOKEN": "t", "GOLDPRESS_GITHUB_APP": "1"},
            "GOLDPRESS_GITHUB_TOKEN and GOLDPRESS_GITHUB_APP are both set",
        ),
        ({"GOLDPRESS_GITHUB_APP": "1"}, "GOLDPRESS_GITHUB_APP_KEY is not set"),
        ({"GOLDPRESS_GITHUB_APP_KEY": "k"}, "GOLDPRESS_GITHUB_APP is not set"),
        ({"GOLDPRESS_GITHUB_TOKEN": "two words"}, "GOLDPRESS_GITHUB_TOKEN: not a token"),
        ({"GOLDPRESS_GITHUB_TOKEN": "one\ntwo"}, "GOLDPRESS_GITHUB_TOKEN: not a token"),
        ({"GOLDPRESS_GITHUB_TOKEN": "t"}, "GITHUB_REPOSITORY is not set"),
        (
            {"GOLDPRESS_GITHUB_TOKEN": "t", "GITHUB_REPOSITORY": "a/b/c"},
            "GITHUB_REPOSITORY=a/b/c: expected owner/name",
        ),
        (
            {"GOLDPRESS_GITHUB_TOKEN": "t", "GITHUB_REPOSITORY": "a/..?"},
            "GITHUB_REPOSITORY=a/..",
        ),
        (
            {
                "GOLDPRESS_GITHUB_TOKEN": "t",
                "GITHUB_REPOSITORY": "a/b",
                "GITHUB_API_URL": "http://github.example.org",
            },
            "GITHUB_API_URL: a token is sent over https only",
        ),
        (
            {"GOLDPRESS_GITHUB_APP": "1", "GOLDPRESS_GITHUB_APP_KEY": "/nowhere/key.pem"},
            "GOLDPRESS_GITHUB_APP_KEY: there is no such file",
        ),
        (
            {"GOLDPRESS_GITHUB_APP": "1", "GOLDPRESS_GITHUB_APP_KEY": "-----BEGIN nothing"},
            "GOLDPRESS_GITHUB_APP_KEY: not an RSA private key",
        ),
        (
            {"GOLDPRESS_GITHUB_APP": "1", "GOLDPRESS_GITHUB_APP_KEY": "a\0b"},
            "GOLDPRESS_GITHUB_APP_KEY: neither a key nor the path of a file",
        ),
    ],
)
def test_an_environment_that_says_too_much_or_too_little(
    environment: dict[str, str], message: str
) -> None:
    with pytest.raises((DocumentError, MissingError), match=message):
        repository(environment)


def test_a_key_of_another_kind_is_refused() -> None:
    key = pem(ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(DocumentError, match="not an RSA private key"):
        credential({"GOLDPRESS_GITHUB_APP": "1", "GOLDPRESS_GITHUB_APP_KEY": key})


def test_a_netrc_puts_no_other_token_in_its_place(
    github: GitHubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login x password y\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    assert pulls.head_of(github.repository, "main")


# ---- pull requests ----


def proposal(github: GitHubServer, text: str = "image: b\n") -> str:
    return github.hub.commit("propose/staging", {CHANNEL: text})


def propose(github: GitHubServer, body: str = "text") -> pulls.PullRequest:
    return pulls.propose(
        github.repository, branch="propose/staging", base="main", title="staging: b", body=body
    )


def test_a_proposal_is_opened_once_then_updated(github: GitHubServer) -> None:
    head = proposal(github)
    made = propose(github)
    assert (made.author, made.head, made.base, made.state) == (BOT, head, "main", "open")
    assert (made.merged, made.merge_commit, made.from_fork) == (False, "", False)
    assert made.url == f"https://github.com/example/images/pull/{made.number}"
    github.asked.clear()
    assert propose(github) == made
    assert github.calls() == ["GET pulls"]
    newer = proposal(github, "image: c\n")
    found = propose(github, "other text")
    assert (found.number, found.head, found.body) == (made.number, newer, "other text")
    assert len(github.hub.pulls) == 1


def test_a_branch_that_is_not_there_is_told(github: GitHubServer) -> None:
    with pytest.raises(GitHubError, match="422: Validation Failed; head: invalid") as caught:
        propose(github)
    assert caught.value.status == 422


def test_an_answer_that_was_lost_opens_no_second_one(github: GitHubServer) -> None:
    proposal(github)
    github.fail(method="POST", path="pulls", status=0, way="after")
    assert propose(github).number == github.hub.pulls[0].number
    github.hub.pulls.clear()
    github.fail(method="POST", path="pulls", status=502, way="after")
    assert propose(github).number == github.hub.pulls[0].number
    assert github.calls("POST") == ["POST pulls"] * 2


def test_a_pull_request_of_a_fork_or_of_a_repository_that_is_gone(github: GitHubServer) -> None:
    proposal(github)
    made = propose(github)
    github.hub.pull(made.number).fork = True
    assert pulls.pull(github.repository, made.number).from_fork


def test_reviews_commits_pushes_and_who_may_write(github: GitHubServer) -> None:
    hub = github.hub
    first = hub.commit("topic", {CHANNEL: "image: x\n"}, by="ann")
    pull = hub.open("topic", by="ann")
    hub.review(pull.number, "ben", "CHANGES_REQUESTED")
    co = "fix\n\nCo-authored-by: Ben <1+ben@users.noreply.github.com>\nco-authored-by: Z <z@z>"
    second = hub.commit("topic", {CHANNEL: "image: y\n"}, by=BOT, message=co, pushed_by="guest")
    hub.review(pull.number, "ben")
    repo = github.repository
    assert [(r.by, r.is_person, r.state, r.commit) for r in pulls.reviews(repo, pull.number)] == [
        ("ben", True, "CHANGES_REQUESTED", first),
        ("ben", True, "APPROVED", second),
    ]
    one, two = pulls.commits(repo, pull.number)
    assert (one.id, sorted(one.authors), list(one.unknown)) == (first, ["ann"], [])
    assert (sorted(two.authors), list(two.unknown)) == (["ben", BOT], ["co-author Z <z@z>"])
    assert two.tree == hub.git("rev-parse", f"{second}^{{tree}}")
    assert [(p.by, p.kind, p.after) for p in pulls.pushes(repo, "topic", second)] == [
        ("guest", "push", second),
        ("ann", "branch_creation", first),
    ]
    assert [pulls.permission(repo, who) for who in ("ann", "guest", "nobody")] == [
        "write", "read", "none",
    ]  # fmt: skip


def test_an_address_that_no_account_has_is_an_unknown_author(github: GitHubServer) -> None:
    github.hub.commit("topic", {CHANNEL: "image: x\n"}, by="ann", email="ann@elsewhere.example")
    pull = github.hub.open("topic", by="ann")
    (found,) = pulls.commits(github.repository, pull.number)
    assert found.authors == frozenset()
    assert found.unknown == (
        "author ann <ann@elsewhere.example>",
        "committer ann <ann@elsewhere.example>",
    )


def test_pushes_before_the_branch_was_made_anew_are_not_its_own(github: GitHubServer) -> None:
    hub = github.hub
    hub.commit("topic", {CHANNEL: "image: x\n"}, by="ben")
    hub.git("update-ref", "-d", "refs/heads/topic")
    hub.notice()
    made = hub.commit("topic", {CHANNEL: "image: y\n"}, by="ann")
    forced = hub.commit(
        "topic", {CHANNEL: "image: z\n"}, by="ann", onto=hub.refs["refs/heads/main"]
    )
    found = pulls.pushes(github.repository, "topic", forced)
    assert [(p.by, p.kind, p.before, p.after) for p in found] == [
        ("ann", "force_push", made, forced),
        ("ann", "branch_creation", "0" * 40, made),
    ]


def test_pushes_after_the_head_or_to_the_next_branch_of_the_name_are_left_out(
    github: GitHubServer,
) -> None:
    hub = github.hub
    head = hub.commit("topic", {CHANNEL: "image: y\n"}, by="ann")
    hub.commit("topic", {CHANNEL: "image: z\n"}, by="ben")
    hub.git("update-ref", "-d", "refs/heads/topic")
    hub.notice()
    hub.commit("topic", {CHANNEL: "image: v\n"}, by="guest")
    found = pulls.pushes(github.repository, "topic", head)
    assert [(p.by, p.after) for p in found] == [("ann", head)]
    assert pulls.pushes(github.repository, "topic", "f" * 40) == ()


def test_too_many_commits_are_refused(
    github: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulls, "MOST_COMMITS", 2)
    for text in "xy":
        github.hub.commit("topic", {CHANNEL: text}, by="ann")
    pull = github.hub.open("topic", by="ann")
    with pytest.raises(GitHubError, match=r"has 2 commits or more, and GitHub lists no more"):
        pulls.commits(github.repository, pull.number)


@pytest.mark.parametrize("method", ["squash", "merge", "rebase", "queue"])
def test_the_pull_request_of_a_merge(github: GitHubServer, method: str) -> None:
    proposal(github)
    number = propose(github).number
    github.hub.commit("main", {"other": "x"}, by="ann")
    merged = github.hub.merge(number, by="ann", method=method)
    (found,) = pulls.of_commit(github.repository, merged)
    assert (found.number, found.merged, found.merged_by) == (number, True, "ann")
    assert found.merge_commit == merged == pulls.head_of(github.repository, "main")
    assert pulls.of_commit(github.repository, github.hub.commit("main", {"y": "y"})) == ()


# ---- comments ----


def test_a_comment_is_updated_in_place(github: GitHubServer) -> None:
    proposal(github)
    number = propose(github).number
    repo = github.repository
    url = comments.comment(repo, number, "first", marker="check")
    assert comments.comment(repo, number, "second", marker="check") == url
    comments.comment(repo, number, "of another kind", marker="promote")
    assert [c.body for c in github.hub.comments] == [
        "<!-- goldpress:check -->\nsecond",
        "<!-- goldpress:promote -->\nof another kind",
    ]
    github.asked.clear()
    assert comments.comment(repo, number, "second", marker="check") == url
    assert github.calls() == [f"GET issues/{number}/comments"]


def test_a_persons_comment_is_left_alone(github: GitHubServer) -> None:
    proposal(github)
    number = propose(github).number
    comments.comment(github.repository, number, "text", marker="check")
    github.hub.comments[0].by = "ann"
    comments.comment(github.repository, number, "new", marker="check")
    assert [(c.by, c.body.splitlines()[1]) for c in github.hub.comments] == [
        ("ann", "text"),
        (BOT, "new"),
    ]


def test_a_long_comment_is_cut() -> None:
    text = comments.marked("x" * 70000, "check")
    assert len(text) < 65536
    assert text.endswith("the whole text is in the log of the check.")


# ---- trees ----


def test_files_and_their_bytes_at_a_commit(github: GitHubServer) -> None:
    main = github.hub.refs["refs/heads/main"]
    head = proposal(github)
    repo = github.repository
    found = trees.commit(repo, head)
    assert found.parents == (main,)
    files = trees.files(repo, found.tree)
    assert sorted(files) == ["README.md", CHANNEL]
    assert files[CHANNEL].mode == "100644"
    assert trees.blob(repo, files[CHANNEL].blob) == b"image: b\n"
    newer = github.hub.commit("main", {"other": "x"})
    assert trees.contents(repo, CHANNEL, head) == b"image: b\n"
    assert trees.contents(repo, CHANNEL, newer) is None
    assert list(trees.changing(repo, CHANNEL, head)) == [head]
    assert pulls.default_branch(repo) == "main"
    with pytest.raises(GitHubError, match=f"images/web at {head} is no file"):
        trees.contents(repo, "images/web", head)
    assert trees.merge_base(repo, newer, head) == main


def test_a_tree_that_is_not_whole_is_refused(github: GitHubServer) -> None:
    github.hidden.add("truncated")
    tree = trees.commit(github.repository, github.hub.refs["refs/heads/main"]).tree
    with pytest.raises(GitHubError, match="has more files than GitHub lists at once"):
        trees.files(github.repository, tree)


@pytest.mark.parametrize("name", ["main", "../../user", "0123"])
def test_only_whole_ids_are_asked_for(github: GitHubServer, name: str) -> None:
    with pytest.raises(GitHubError, match="is not the id of a commit, tree or file in git"):
        trees.commit(github.repository, name)
    assert github.asked == []


# ---- pages, retries, refusals ----


def test_every_page_is_read(github: GitHubServer) -> None:
    github.page = 2
    proposal(github)
    number = propose(github).number
    for n in range(5):
        github.hub.review(number, "ann", "COMMENTED", commit=str(n))
    found = pulls.reviews(github.repository, number)
    assert [r.commit for r in found] == list("01234")


def test_a_list_without_an_end_is_refused(
    github: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    github.page = 1
    monkeypatch.setattr(api, "PAGES", 2)
    proposal(github)
    number = propose(github).number
    for n in range(3):
        github.hub.review(number, "ann", "COMMENTED", commit=str(n))
    with pytest.raises(GitHubError, match=r"reviews: more than 200 rows"):
        pulls.reviews(github.repository, number)


def test_a_next_page_at_another_server_gets_no_token(github: GitHubServer) -> None:
    link = '<https://elsewhere.example/repos/x>; rel="next"'
    github.fail(path="pulls", status=200, headers={"Link": link}, body="[]")
    with pytest.raises(GitHubError, match="its next page is at another server"):
        list(github.repository.pages("pulls"))


@pytest.mark.parametrize("status", [0, 500, 502, 503, 504])
def test_a_passing_failure_is_repeated(github: GitHubServer, status: int) -> None:
    github.fail(status=status, times=3)
    assert pulls.head_of(github.repository, "main")
    assert len(github.asked) == 4


@pytest.mark.parametrize(
    ("status", "message"), [(0, "no answer: ConnectionError"), (502, "GitHub has a problem")]
)
def test_a_lasting_failure_is_told(github: GitHubServer, status: int, message: str) -> None:
    github.fail(status=status, times=9)
    with pytest.raises(GitHubError, match=f"GET /repos/example/images/branches/main: {message}"):
        pulls.head_of(github.repository, "main")
    assert len(github.asked) == 4


@pytest.mark.parametrize("status", [403, 429])
def test_a_limit_is_waited_for_also_before_making_something(
    github: GitHubServer, status: int
) -> None:
    proposal(github)
    body = '{"message": "You have exceeded a secondary rate limit."}'
    github.fail(method="POST", status=status, headers={"Retry-After": "0"}, body=body)
    assert propose(github).state == "open"
    assert github.calls("POST") == ["POST pulls"] * 2


def test_a_long_limit_is_told(github: GitHubServer) -> None:
    reset = str(int(now()) + 3000)
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}
    github.fail(status=403, headers=headers, body='{"message": "API rate limit exceeded"}')
    with pytest.raises(GitHubError, match=r"too many requests; GitHub answers again in (29|30)\d+"):
        pulls.head_of(github.repository, "main")
    assert len(github.asked) == 1


@pytest.mark.parametrize(
    ("fault", "message", "hint"),
    [
        (
            {"status": 401, "body": '{"message": "Bad credentials"}'},
            "GitHub does not accept the token (401: Bad credentials)",
            "it may have expired",
        ),
        (
            {"status": 403, "body": '{"message": "Resource not accessible by integration"}'},
            "GitHub denies it (403: Resource not accessible by integration)",
            "README tells which permissions",
        ),
        (
            {"status": 404, "body": '{"message": "Not Found"}'},
            "GitHub shows no such thing (404: Not Found)",
            "also what the token may not see",
        ),
        (
            {"status": 301, "headers": {"Location": "https://elsewhere.example/x"}},
            "the repository has another name now (301: Server Error)",
            "correct GITHUB_REPOSITORY",
        ),
        ({"status": 418, "body": "<html>"}, "418: I'm a Teapot", ""),
        (
            {"status": 409, "body": '{"message": "a\\n b", "errors": ["c"]}'},
            "409: a b; c",
            "",
        ),
    ],
)
def test_a_refusal_is_told_at_once(
    github: GitHubServer, fault: dict[str, object], message: str, hint: str
) -> None:
    github.fail(**fault)
    with pytest.raises(GitHubError) as caught:
        pulls.head_of(github.repository, "main")
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert len(github.asked) == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("<html>", "the answer is no JSON"),
        ('{"number": 1}', "a pull request: not in the form that I know: KeyError"),
        ("[]", "a pull request: not in the form that I know: TypeError"),
    ],
)
def test_an_answer_in_another_form_is_told(github: GitHubServer, body: str, message: str) -> None:
    github.fail(status=200, body=body)
    with pytest.raises(GitHubError, match=message):
        pulls.pull(github.repository, 1)


ID = "a" * 40
ASK: dict[str, Callable[[api.Repository], object]] = {
    "numbers": lambda repo: pulls.numbers_of_commit(repo, ID),
    "reviews": lambda repo: pulls.reviews(repo, 1),
    "commits": lambda repo: pulls.commits(repo, 1),
    "pushes": lambda repo: pulls.pushes(repo, "main", ID),
    "permission": lambda repo: pulls.permission(repo, "ann"),
    "default branch": pulls.default_branch,
    "head": lambda repo: pulls.head_of(repo, "main"),
    "commit": lambda repo: trees.commit(repo, ID),
    "files": lambda repo: trees.files(repo, ID),
    "blob": lambda repo: trees.blob(repo, ID),
    "changing": lambda repo: list(trees.changing(repo, "x", ID)),
    "merge base": lambda repo: trees.merge_base(repo, ID, ID),
    "contents": lambda repo: trees.contents(repo, "x", ID),
    "identity": identity,
}


OTHERWISE = ('[{"other": 1}]', '{"other": 1}', "[1]", '"text"')


@pytest.mark.parametrize("body", OTHERWISE)
@pytest.mark.parametrize("what", ASK)
def test_no_answer_in_another_form_is_a_traceback(
    github: GitHubServer, what: str, body: str
) -> None:
    github.fail(status=200, body=body, times=9)
    with pytest.raises(GitHubError):
        ASK[what](github.repository)


def test_a_token_s_own_commits_are_known_as_its(github: GitHubServer) -> None:
    found = identity(github.repository)
    assert found.login == BOT
    assert found.email == f"{found.number}+goldpress[bot]@users.noreply.github.com"
    assert found.environment() == {
        "GIT_AUTHOR_NAME": BOT,
        "GIT_AUTHOR_EMAIL": found.email,
        "GIT_COMMITTER_NAME": BOT,
        "GIT_COMMITTER_EMAIL": found.email,
    }
    made = dataclasses.replace(github.repository, url="https://github.example.org/api/v3")
    assert made.url.removesuffix("/v3") == "https://github.example.org/api"


def test_no_log_and_no_traceback_has_the_token(
    github: GitHubServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    github.fail(status=0, times=9)
    text = ""
    try:
        pulls.head_of(github.repository, "main")
    except GitHubError as error:
        text = "".join(traceback.format_exception(error))
    assert "no answer" in text
    assert TOKEN not in text + caplog.text
