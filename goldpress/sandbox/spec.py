"""Owns the spec: one text from which rpmbuild makes every package of the sandbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from goldpress.sandbox.layout import Content
from goldpress.sandbox.table import Package

SUMMARY = "Sandbox stand-in:"
VENDOR = "goldpress sandbox"

_HEAD = """\
%global debug_package %{{nil}}
%global __os_install_post %{{nil}}
%global _build_id_links none
%global _binary_payload w3.zstdio
%global _buildhost goldpress-sandbox
%global use_source_date_epoch_as_buildtime 1
%global clamp_mtime_to_source_date_epoch 1
%global source_date_epoch_from_changelog 0
%global __python %{{nil}}
AutoReqProv: no

Name: goldpress-sandbox
Version: 1
Release: 1
Summary: {summary} holds the others together, never built
License: see each Debian package
Vendor: {vendor}
Packager: {vendor}

%description
Not a package.

%install
mv {tree}/* %{{buildroot}}/

"""


@dataclass(frozen=True, kw_only=True)
class Rpm:
    """One package as the spec says it."""

    name: str
    version: str
    release: str
    origin: str
    requires: Sequence[str]
    package: Package
    content: Content


def escaped(path: str) -> str:
    """`path` as %files reads it: in quotes rpm expands macros, but neither globs nor escapes."""
    return f'"{path.replace("%", "%%")}"'


def file_line(path: str, rpm: Rpm) -> str:
    """The %files line of one path."""
    entry = rpm.content.entries[path]
    mode, user, group = rpm.content.owners[path].split()
    if entry.kind == "link":
        return escaped(path)
    marks = ["%ghost"] if path in rpm.package.ghosts else []
    if entry.kind == "dir":
        marks.append("%dir")
    if entry.kind == "file" and path.startswith("/etc/"):
        marks.append("%config(noreplace)")
    if path in rpm.package.unverified:
        marks.append("%verify(not md5 size mtime)")
    if path in rpm.package.docs:
        marks.append("%doc")
    if caps := rpm.package.capabilities.get(path):
        marks.append(f"%caps({caps})")
    return " ".join([*marks, f"%attr({mode}, {user}, {group})", escaped(path)])


def files_text(rpm: Rpm) -> str:
    """The file list of a package, sorted by path."""
    lines = [file_line(path, rpm) for path in sorted(rpm.content.entries)]
    for path, text in sorted(rpm.package.ghosts.items()):
        if path in rpm.content.entries:
            continue
        mode, user, group = text.split()
        lines.append(f"%ghost %attr({mode}, {user}, {group}) {escaped(path)}")
    return "".join(f"{line}\n" for line in lines)


def scriptlets(package: Package) -> dict[str, str]:
    """Directive -> text: the table's own, and those that users and units need."""
    texts: dict[str, str] = {}
    for file, lines in package.users.items():
        body = "\n".join(lines)
        texts["pre"] = texts.get("pre", "") + (
            f"systemd-sysusers --replace=/usr/lib/sysusers.d/{file} - <<'END'\n{body}\nEND\n"
        )
    if package.units:
        names = " ".join(package.units)
        has_systemctl = "[ -x /usr/bin/systemctl ]"
        texts["post"] = (
            f"if [ $1 -eq 1 ] && {has_systemctl}; then\n"
            f"    systemctl --no-reload preset {names} || :\nfi\n"
        )
        texts["preun"] = (
            f"if [ $1 -eq 0 ] && {has_systemctl}; then\n"
            f"    systemctl --no-reload disable --now {names} || :\nfi\n"
        )
    for directive, text in package.scriptlets.items():
        texts[directive] = texts.get(directive, "") + text.rstrip("\n") + "\n"
    return {directive: text.replace("%", "%%") for directive, text in texts.items()}


def package_text(rpm: Rpm, *, file_list: Path) -> str:
    """The sections of one package."""
    package = rpm.package
    lines = [
        f"%package -n {rpm.name}",
        f"Version: {rpm.version}",
        f"Release: {rpm.release}",
        f"Summary: {SUMMARY} {rpm.name} from {rpm.origin}",
        "AutoReqProv: no",
    ]
    lines += [f"Provides: {one}" for one in package.provides]
    lines += [f"Requires: {one}" for one in rpm.requires]
    if package.users:
        lines.append("Requires(pre): systemd")
    if package.units:
        lines += ["Requires(post): systemd", "Requires(preun): systemd"]
    lines += [f"%description -n {rpm.name}", f"Made from {rpm.origin} for rehearsals."]
    for directive, text in scriptlets(package).items():
        kind, _, options = directive.partition(" ")
        lines += [f"%{kind} -n {rpm.name} {options}".rstrip(), text.rstrip("\n")]
    # rpmbuild refuses an empty list, not a package without files.
    files = f" -f {file_list}" if rpm.content.entries or package.ghosts else ""
    lines += [f"%files -n {rpm.name}{files}", ""]
    return "\n".join(lines) + "\n"


def spec_text(rpms: Sequence[Rpm], *, tree: Path, lists: Path) -> str:
    """The whole spec; the file list of NAME is expected at `lists`/NAME."""
    head = _HEAD.format(summary=SUMMARY, vendor=VENDOR, tree=tree)
    return head + "".join(package_text(rpm, file_list=lists / rpm.name) for rpm in rpms)
