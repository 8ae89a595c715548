"""Owns the policies in the templates of bootstrap/: those of iam/, with the stack's own names.

``python tests/account.py`` writes them, a test compares.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml
from policies import IAM

BOOTSTRAP = IAM.parent / "bootstrap"
MARK = "`python tests/account.py` writes the rest of Resources from iam/ ----\n"
#: Roles by template, with what each may do, and the key that it signs with.
ROLES: Mapping[str, Mapping[str, tuple[tuple[str, ...], str]]] = {
    "account.yaml": {
        "RebuildRole": (("build", "publish"), "BuildKey"),
        "CheckRole": (("check",), ""),
        "PromoteRole": (("build", "promote", "roll", "keys"), "PromoteKey"),
        "AuditRole": (("audit", "drift"), ""),
        "OperateRole": (("quarantine", "operate"), ""),
    },
    "reader.yaml": {"ReadRole": (("read", "drift"), "")},
    "roller.yaml": {"RollRole": (("roll", "quarantine"), "")},
}


class Call(dict[str, Any]):
    """A function of CloudFormation, such as ``{"Sub": "..."}``."""


class Loader(yaml.SafeLoader):
    """Reads a template, its functions as `Call`s; refuses a key that is there twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"{', '.join(sorted(twice))}: there twice{node.start_mark}")
        return super().construct_mapping(node, deep=deep)


def _call(loader: Loader, name: str, node: yaml.Node) -> Call:
    if isinstance(node, yaml.ScalarNode):
        return Call({name: loader.construct_scalar(node)})
    if isinstance(node, yaml.SequenceNode):
        return Call({name: loader.construct_sequence(node, deep=True)})
    raise ValueError(f"!{name}: neither text nor a list")


Loader.add_multi_constructor("!", _call)


def template(text: str) -> dict[str, Any]:
    """A template as plain values. Raises ValueError and yaml.YAMLError."""
    value: dict[str, Any] = yaml.load(text, Loader=Loader)  # noqa: S506 - a safe loader
    return value


def policy_resources(roles: Mapping[str, tuple[tuple[str, ...], str]]) -> str:
    """The resources of the roles' policies, as YAML."""
    parts = []
    for role, (names, key) in roles.items():
        for name in names:
            document = json.loads((IAM / f"{name}.json").read_text())
            value = {
                f"{role.removesuffix('Role')}May{name.title()}": {
                    "Type": "AWS::IAM::Policy",
                    "Properties": {
                        "PolicyName": f"goldpress-{name}",
                        "Roles": [Call({"Ref": role})],
                        "PolicyDocument": filled(document, key),
                    },
                }
            }
            parts.append(yaml.dump(value, Dumper=Dumper, sort_keys=False, width=100))
    return "\n".join(parts)


def filled(value: Any, key: str) -> Any:
    """A policy's part with the stack's names where iam/ has ``${...}``."""
    if isinstance(value, dict):
        return {name: filled(part, key) for name, part in value.items()}
    if isinstance(value, list):
        return [filled(part, key) for part in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    if value == "${kms_key_arns}":
        return Call({"GetAtt": "DataKey.Arn"})
    if value == "${signing_key_arn}":
        return Call({"GetAtt": f"{key}.Arn"})
    names = {
        "${store_bucket}": "${Store}",
        "${store_prefix}": "${StorePrefix}/",
        "${account}": "${AWS::AccountId}",
    }
    for old, new in names.items():
        value = value.replace(old, new)
    return Call({"Sub": value})


class Dumper(yaml.SafeDumper):
    """Writes a template's functions in their short form, and lists inside what has them."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the parent's signature
        return True


def _write_call(dumper: Dumper, call: Call) -> yaml.Node:
    ((name, value),) = call.items()
    style = '"' if name == "Sub" else None
    return dumper.represent_scalar(f"!{name}", value, style=style)


Dumper.add_representer(Call, _write_call)


def written(text: str, roles: Mapping[str, tuple[tuple[str, ...], str]]) -> str:
    """A template's text with the policies of its roles written anew."""
    head, mark, tail = text.partition(MARK)
    assert mark, "the template has lost its mark"
    outputs = re.search(r"^Outputs:", tail, re.MULTILINE)
    assert outputs is not None
    made = "".join(
        f"  {line}" if line.strip() else line
        for line in policy_resources(roles).splitlines(keepends=True)
    )
    return f"{head}{mark}\n{made}\n{tail[outputs.start() :]}"


def main() -> None:
    """Write the policies of every template anew."""
    for name, roles in ROLES.items():
        path = BOOTSTRAP / name
        path.write_text(written(path.read_text(), roles))


if __name__ == "__main__":
    main()
