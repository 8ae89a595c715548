"""The workflows: pinned actions, the least rights, and no logic but calls of `./inv`."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from invoke.exceptions import ParseError
from invoke.parser import Parser
from pressing import PROJECT
from workflow import BY_NAME, SELF, SETUP, WORKFLOWS, Workflow, places, setup_steps

from goldpress.channel import PATH
from goldpress.document import read_yaml
from tasks import ns

PINNED = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}")
ROLE = {"contents": "read", "id-token": "write"}
#: All that each may. Nothing can write to the repository: proposals come from a GitHub App.
PERMISSIONS = {
    "centos": {"contents": "read"},
    "check": {"contents": "read"},
    "promote": {**ROLE, "pull-requests": "read"},
    "promote-prod": {**ROLE, "pull-requests": "read"},
    "promote-staging": {**ROLE, "pull-requests": "read"},
    "promotion-check": {**ROLE, "pull-requests": "write"},
    "rebuild": ROLE,
    "reproduce": ROLE,
    "roll": ROLE,
}
ENVIRONMENTS = {
    "promote": "${{ inputs.channel }}",
    "promotion-check": "promotion-check",
    "rebuild": "rebuild",
    "reproduce": "reproduce",
    "roll": "roll-${{ matrix.channel }}",
}
#: Every expression that there may be, and the keys that it may be below.
EXPRESSIONS = {
    r"vars\.[A-Z_]+": {"env", "with"},
    r"inputs\.(channel|role|region)": {"env", "with", "environment", "concurrency"},
    r"github\.token": {"env"},
    r"github\.ref": {"concurrency"},
    r"github\.event\.pull_request\.number": {"env", "concurrency"},
    r"steps\.app\.outputs\.token": {"env"},
    r"matrix\.channel": {"env", "environment", "concurrency"},
    r"steps\.found\.outputs\.(commit|digest)": {"env", "with"},
    r"secrets\.GOLDPRESS_GITHUB_APP_KEY": {"with"},
}

each = pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda row: row.name)


def refuse_unknown_task(command: str) -> None:
    """Raises when this is no one line `./inv task --options` that `./inv --list` knows."""
    assert "\n" not in command.strip()
    program, *words = shlex.split(command)
    assert program == "./inv"
    assert not set("|;&`<>") & set(command), command
    if words != ["--list"]:
        Parser(contexts=ns.to_contexts()).parse_argv(words)
        assert words[0] in ns.task_names or words[0] in ns.collections


def test_they_are_these() -> None:
    assert set(BY_NAME) == set(PERMISSIONS)


@each
def test_every_action_is_pinned_by_its_hash_and_says_its_version(workflow: Workflow) -> None:
    used = [step["uses"] for step in workflow.steps() if "uses" in step]
    used += [job["uses"] for job in workflow.jobs.values() if "uses" in job]
    assert used
    refuse_unpinned(used, workflow.text)


def test_so_is_every_action_of_the_set_up() -> None:
    refuse_unpinned([step["uses"] for step in setup_steps() if "uses" in step], SETUP.read_text())


def refuse_unpinned(used: list[str], text: str) -> None:
    for action in used:
        if action.startswith(SELF):
            path = PROJECT / action.removeprefix(SELF)
            assert path.is_file() or (path / "action.yml").is_file()
            continue
        assert PINNED.fullmatch(action), action
        name = action.partition("@")[0]
        assert re.search(rf"# {name} v[0-9.]+\n\s*- uses: {action}\n", text)


def test_a_tag_is_no_pin() -> None:
    with pytest.raises(AssertionError, match="actions/checkout@v6"):
        refuse_unpinned(["actions/checkout@v6"], "# actions/checkout v6\n- uses: ...\n")


def test_an_action_has_one_version_in_all_that_are_run_with_credentials() -> None:
    texts = [row.text for row in WORKFLOWS if row.name != "centos"]
    versions: dict[str, set[str]] = {}
    for action in re.findall(r"uses: ([\w.-]+/[\w.-]+@\S+)", "".join([*texts, SETUP.read_text()])):
        versions.setdefault(action.partition("@")[0], set()).add(action)
    assert {
        "actions/checkout", "actions/create-github-app-token",
        "aws-actions/configure-aws-credentials",
    } == set(versions)  # fmt: skip
    assert all(len(found) == 1 for found in versions.values())


@each
def test_a_step_only_calls_a_task(workflow: Workflow) -> None:
    for step in workflow.steps():
        if "run" in step:
            refuse_unknown_task(step["run"])


def test_so_does_the_set_up() -> None:
    for step in setup_steps():
        if "run" in step:
            refuse_unknown_task(step["run"])


def test_a_task_or_an_option_that_is_not_there_is_found() -> None:
    for command in ("./inv promotion.chekc --pull=1", "./inv propose staging --quickly"):
        with pytest.raises((ParseError, AssertionError)):
            refuse_unknown_task(command)
    for command in ("./inv promote x; id", "pip install x", "./inv lock\nid"):
        with pytest.raises(AssertionError):
            refuse_unknown_task(command)


@each
def test_it_may_do_no_more_than_it_needs_and_ends(workflow: Workflow) -> None:
    assert workflow.value["permissions"] in ({}, {"contents": "read"})
    assert workflow.permissions() == PERMISSIONS[workflow.name]
    for job in workflow.jobs.values():
        if "uses" not in job:
            assert 0 < job["timeout-minutes"] <= 120


@each
def test_what_it_assumes_a_role_by_is_an_environment_of_its_own(workflow: Workflow) -> None:
    (job,) = workflow.jobs.values()
    assert job.get("environment") == ENVIRONMENTS.get(workflow.name)
    if "uses" not in job:
        has_token = "id-token" in workflow.permissions()
        assert has_token == ("environment" in job) == ("vars.GOLDPRESS_ROLE" in workflow.text)


@each
def test_nobody_elses_text_reaches_a_shell(workflow: Workflow) -> None:
    found = list(places(workflow.value))
    for path, expression in found:
        refuse_expression(path, expression)
    refused = ("secrets: inherit", "toJSON", "fromJSON", "github.head_ref", "head.sha", "head.ref")
    assert not any(text in workflow.text for text in refused)


def test_nor_does_it_through_the_set_up() -> None:
    for path, expression in places(setup_steps()):
        refuse_expression(path, expression)


def refuse_expression(path: tuple[str, ...], expression: str) -> None:
    below = [keys for pattern, keys in EXPRESSIONS.items() if re.fullmatch(pattern, expression)]
    assert below, f"{expression} at {'.'.join(path)}"
    assert below[0] & set(path), f"{expression} at {'.'.join(path)}"
    assert "run" not in path


def test_such_text_is_found() -> None:
    with pytest.raises(AssertionError, match=r"github\.event\.pull_request\.title at env"):
        refuse_expression(("env",), "github.event.pull_request.title")
    with pytest.raises(AssertionError, match=r"github\.event\.pull_request\.number at run"):
        refuse_expression(("run",), "github.event.pull_request.number")


@pytest.mark.parametrize(("name", "task"), [("rebuild", "propose"), ("roll", "roll")])
def test_the_app_key_is_known_to_one_step_alone(name: str, task: str) -> None:
    holders = [row.name for row in WORKFLOWS if "secrets." in row.text]
    assert holders == ["rebuild", "roll"]
    workflow = BY_NAME[name]
    assert workflow.text.count("secrets.") == 1
    (app,) = [step for step in workflow.steps() if step.get("id") == "app"]
    asked = {k: v for k, v in app["with"].items() if k.startswith("permission-")}
    assert asked == {"permission-contents": "write", "permission-pull-requests": "write"}
    (user,) = [step for step in workflow.steps() if f"./inv {task}" in step.get("run", "")]
    assert "${{ steps.app.outputs.token }}" in user["env"].values()


def test_the_roll_of_every_channel_is_called_every_few_minutes_and_one_at_a_time() -> None:
    workflow = BY_NAME["roll"]
    assert workflow.triggers == {
        "schedule": [{"cron": "3/10 * * * *"}], "workflow_dispatch": None
    }  # fmt: skip
    (job,) = workflow.jobs.values()
    channels = {path.stem for path in PROJECT.glob("images/*/channels/*.yaml")}
    assert set(job["strategy"]["matrix"]["channel"]) == channels == {"staging", "prod"}
    # One that needs a person does not keep the other one back.
    assert job["strategy"]["fail-fast"] is False
    # What waits is not thrown away: a tick that is cut off goes on where it was, but why cut it.
    assert job["concurrency"] == {
        "group": "roll-${{ matrix.channel }}",
        "cancel-in-progress": False,
    }


# ---- a pull request's code never runs with a role, a secret or a token that can write ----


@each
def test_what_runs_a_pull_requests_code_has_nothing_to_lose(workflow: Workflow) -> None:
    if "pull_request" in workflow.triggers:
        assert workflow.permissions() == {"contents": "read"}
        assert "vars." not in workflow.text
        assert "secrets." not in workflow.text
        assert not any("environment" in job for job in workflow.jobs.values())


def test_only_check_runs_a_pull_requests_code() -> None:
    assert [row.name for row in WORKFLOWS if "pull_request" in row.triggers] == ["check"]
    risky = {"pull_request_target", "workflow_run", "issue_comment", "pull_request_review"}
    assert [row.name for row in WORKFLOWS if risky & set(row.triggers)] == ["promotion-check"]


@each
def test_a_checkout_is_of_what_triggered_and_keeps_no_token(workflow: Workflow) -> None:
    """With `pull_request_target` that is the default branch: no `ref` says otherwise.

    One does, after `reproduce --find` has found it in that branch's history.
    """
    refs = []
    for step in workflow.steps():
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
            assert set(step["with"]) <= {"persist-credentials", "fetch-depth", "ref"}
            refs.append(step["with"].get("ref"))
    found = "${{ steps.found.outputs.commit }}"
    assert refs in ([None], [None, found] if workflow.name == "reproduce" else [])


def test_the_check_of_a_promotion_is_of_channels_and_comments() -> None:
    workflow = BY_NAME["promotion-check"]
    target = workflow.triggers["pull_request_target"]
    assert target["paths"] == ["images/*/channels/*.yaml"]
    assert "synchronize" in target["types"]
    (last,) = [step for step in workflow.steps() if "run" in step]
    assert last["run"] == './inv promotion.check --pull="$PULL" --comment'
    assert last["env"]["PULL"] == "${{ github.event.pull_request.number }}"


# ---- one at a time ----


@each
def test_one_runs_at_a_time(workflow: Workflow) -> None:
    (job,) = workflow.jobs.values()
    if "uses" in job:
        assert BY_NAME[Path(job["uses"]).stem].name == "promote"
        return
    groups = [row["concurrency"]["group"] for row in (workflow.value, job) if "concurrency" in row]
    (group,) = groups
    assert group.startswith(workflow.name)


def test_one_promotion_a_channel_which_nothing_cancels() -> None:
    (job,) = BY_NAME["promote"].jobs.values()
    assert job["concurrency"] == {
        "group": "promote-${{ inputs.channel }}",
        "cancel-in-progress": False,
    }
    assert job["environment"] == "${{ inputs.channel }}"


def test_every_channel_has_its_own_trigger() -> None:
    paths = [path.relative_to(PROJECT).as_posix() for path in PROJECT.glob("images/*/channels/*")]
    found = [PATH.fullmatch(path) for path in paths]
    channels = {row[2] for row in found if row}
    assert len(found) == len([row for row in found if row])
    assert channels == {"staging", "prod"}
    for channel in channels:
        workflow = BY_NAME[f"promote-{channel}"]
        assert workflow.triggers == {
            "push": {"branches": ["main"], "paths": [f"images/*/channels/{channel}.yaml"]}
        }
        (job,) = workflow.jobs.values()
        assert job["uses"] == f"{SELF}.github/workflows/promote.yml"
        assert job["with"] == {"channel": channel}
        assert "secrets" not in job
    by_hand = BY_NAME["promote"].triggers["workflow_dispatch"]["inputs"]["channel"]
    assert by_hand["type"] == "choice"
    assert set(by_hand["options"]) == channels


def test_a_rebuild_is_the_whole_way_to_a_proposal() -> None:
    runs = [step["run"].split()[1] for step in BY_NAME["rebuild"].steps() if "run" in step]
    assert runs == [
        "mirror.sync", "lock", "mirror.sync", "build-image", "publish", "propose",
    ]  # fmt: skip
    assert {"schedule", "workflow_dispatch"} == set(BY_NAME["rebuild"].triggers)


def test_what_is_in_force_is_found_first_and_pressed_at_its_own_commit() -> None:
    workflow = BY_NAME["reproduce"]
    (job,) = workflow.jobs.values()
    channels = {row.stem for row in PROJECT.glob("images/*/channels/*.yaml")}
    assert set(job["strategy"]["matrix"]["channel"]) == channels
    assert job["strategy"]["fail-fast"] is False
    checkout, _, find, again, setup, reproduce = workflow.steps()
    # Without the history, no commit would be found in it.
    assert checkout["with"]["fetch-depth"] == 0
    assert (find["run"], find["id"]) == ('./inv reproduce --channel="$CHANNEL" --find', "found")
    assert reproduce["run"] == './inv reproduce --digest="$DIGEST"'
    # Where no channel has an image, nothing is left to do, and nothing fails.
    assert {row["if"] for row in (again, setup, reproduce)} == {"steps.found.outputs.commit != ''"}
    assert "if" not in find


def test_no_private_key_leaves_the_machine() -> None:
    (upload,) = [s for s in BY_NAME["centos"].steps() if "if" in s]
    paths = upload["with"]["path"].split()
    assert not any(
        path.startswith("build/machines") and path.endswith(("/", "*")) for path in paths
    )
    assert "build/" not in paths
    assert not any("key" in path for path in paths)


# ---- who has to approve what ----


def owned() -> dict[str, str]:
    rows = (PROJECT / ".github/CODEOWNERS").read_text().splitlines()
    pairs = [row.split() for row in rows if row and not row.startswith("#")]
    return {pattern: owner for pattern, owner in pairs}  # noqa: C416 - each has one owner


def test_code_owners_guard_channels_keys_rights_and_workflows() -> None:
    found = owned()
    release = {pattern for pattern, owner in found.items() if owner.endswith("/release")}
    assert release >= {
        "/images/*/channels/", "/trust.yaml", "/iam/", "/bootstrap/", "/.github/", "/inv",
        "/requirements.txt", "/tasks.py",
    }  # fmt: skip
    # The last line that matches counts: what is for everybody comes first.
    assert next(iter(found)) == "*"


def test_what_they_guard_is_there() -> None:
    for pattern in owned():
        if pattern != "*":
            assert list(PROJECT.glob(pattern.strip("/"))), pattern


def test_the_set_up_says_how_long_a_session_lasts() -> None:
    """A job may be as long as its credentials; the template allows that."""
    (configure,) = [step for step in setup_steps() if "uses" in step]
    assert configure["with"]["role-duration-seconds"] == "7200"
    minutes = [job["timeout-minutes"] for row in WORKFLOWS for job in row.jobs.values()
               if "timeout-minutes" in job]  # fmt: skip
    assert max(minutes) * 60 <= 7200
    assert set(read_yaml(SETUP)["inputs"]) == {"tools", "role", "region"}
