"""Owns looking at a machine: every fact the checks need, in two ssh round trips.

A round trip through an emulated machine takes longer than most checks, so one shell script, run
as root, collects named sections: their output and exit status. Checks never talk to the machine.
"""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

START_UP_SECONDS = 120

#: Waits for the end of the start-up, so that no later section sees a half-started machine.
STARTED = {
    "state": f"timeout {START_UP_SECONDS} systemctl is-system-running --wait",
}

#: Name -> what runs in `sh`. The order matters only in that `denials` comes last: by then the
#: machine has served a page and been looked at, and both must have gone without a denial.
SECTIONS = {
    "failed-units": "systemctl list-units --failed --plain --no-legend --no-pager",
    "uefi": "ls -d /sys/firmware/efi",
    "command-line": "cat /proc/cmdline",
    "architecture": "uname --machine",
    "selinux-enforce": "cat /sys/fs/selinux/enforce",
    "selinux-config": "cat /etc/selinux/config",
    "selinux-booleans": (
        "cd /sys/fs/selinux/booleans && for b in *; do"
        ' read -r now pending <"$b"; echo "$b $now $pending"; done'
    ),
    "root-mount": "findmnt --noheadings --output SOURCE,FSTYPE,OPTIONS --mountpoint /",
    "var-mount": "findmnt --noheadings --output SOURCE,FSTYPE,OPTIONS --mountpoint /var",
    "partitions": (
        'cd /dev/disk/by-partuuid && for u in *; do echo "$u $(readlink -f "$u")"; done'
    ),
    "write-usr": "touch /usr/.goldpress-probe 2>&1",
    "write-etc": "touch /etc/.goldpress-probe 2>&1",
    "write-var": "touch /var/.goldpress-probe && rm /var/.goldpress-probe",
    "page": "curl --silent --show-error --include --max-time 30 http://127.0.0.1/ 2>&1",
    "packages": "rpm -qa --qf '%{NAME}-%{EPOCHNUM}:%{VERSION}-%{RELEASE}.%{ARCH}\\n'",
    "listening": "ss --no-header --listening --numeric --tcp --udp",
    "processes": (
        'for p in /proc/[0-9]*; do label= comm=; IFS= read -r label <"$p/attr/current";'
        ' IFS= read -r comm <"$p/comm"; [ -z "$comm" ] || echo "${p#/proc/} $label $comm";'
        " done 2>/dev/null; true"
    ),
    "audit-rules": "cat /etc/audit/rules.d/*.rules",
    "audit-rules-loaded": "auditctl -l",
    "shadow": "cat /etc/shadow",
    "machine-id": "cat /etc/machine-id",
    "metadata-v1": (
        "curl --silent --output /dev/null --max-time 10 --write-out '%{http_code}'"
        " http://169.254.169.254/latest/meta-data/"
    ),
    # A bind mount of the root alone shows what lies below /etc/machine-id and the other mounts.
    "baked": (
        "unshare --mount --propagation private sh -c '"
        "mkdir -p /run/goldpress-baked && mount --bind / /run/goldpress-baked"
        " && cd /run/goldpress-baked || exit 1;"
        ' stat --format="machine-id %F %s" etc/machine-id;'
        ' find etc/ssh -name "ssh_host_*" -printf "host-key %p\\n";'
        ' find . -xdev -name "authorized_keys*" ! -path "./usr/share/man/*"'
        ' -printf "authorized-keys %p\\n";'
        ' find . -xdev -name ".*_history" -printf "history %p\\n";'
        " echo searched'"
    ),
    "denials": (
        "journalctl --boot --no-pager --output cat _TRANSPORT=audit 2>&1;"
        " dmesg; [ ! -e /var/log/audit/audit.log ] || cat /var/log/audit/audit.log;"
        " if command -v ausearch >/dev/null; then"
        " ausearch --message avc,user_avc,selinux_err --raw 2>&1; fi; true"
    ),
}


@dataclass(frozen=True, kw_only=True)
class Section:
    """What one command printed, how it ended, and what it complained of."""

    status: int
    text: str
    error: str = ""

    @property
    def lines(self) -> list[str]:
        """The lines that are not empty."""
        return [row for row in self.text.splitlines() if row.strip()]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All sections of one machine."""

    sections: Mapping[str, Section]

    def good(self, name: str) -> Section:
        """A section whose command succeeded; a failed command is a failed check, never a skip."""
        section = self.sections[name]
        said = (section.error or section.text).strip()[-500:] or "it said nothing"
        assert section.status == 0, f"looking at {name!r} failed with {section.status}: {said}"
        return section


def unit_section(units: Iterable[str]) -> str:
    """The command that shows the state of each unit."""
    names = " ".join(shlex.quote(unit) for unit in units)
    properties = "Id,LoadState,ActiveState,SubState,Result,Type,UnitFileState,ExecMainPID"
    return f"systemctl show --no-pager --property={properties} -- {names}"


def script(sections: Mapping[str, str], mark: str) -> str:
    """One shell script that runs every section and frames it with `mark`."""
    rows = ["export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin", "exec 3>&1"]
    for name, command in sections.items():
        rows += [
            f"echo '{mark} begin {name}'",
            # stdout goes straight through descriptor 3, stderr into the variable.
            f"error=$( ( {command}\n) 2>&1 1>&3 3>&- ); status=$?",
            f"echo; echo '{mark} end {name}' $status",
            f"echo \"$error\"; echo '{mark} done {name}'",
        ]
    return "\n".join(rows)


def parse(output: str, names: Iterable[str], mark: str) -> dict[str, Section]:
    """The sections of a script's output. Raises ValueError when one is missing or unfinished."""
    found: dict[str, Section] = {}
    for name in names:
        word = re.escape(name)
        frame = re.search(
            rf"^{mark} begin {word}\n(.*?)^{mark} end {word} (\d+)\n(.*?)^{mark} done {word}$",
            output,
            re.DOTALL | re.MULTILINE,
        )
        if frame is None:
            raise ValueError(f"the machine's answer has no section {name!r}: {output[-500:]!r}")
        found[name] = Section(status=int(frame[2]), text=frame[1].strip("\n"), error=frame[3])
    return found


def collect(host: Any, units: Iterable[str]) -> Facts:
    """Look at the machine behind a testinfra host. Raises RuntimeError when it is unreachable."""
    sections: dict[str, Section] = {}
    for batch in (STARTED, {"units": unit_section(units), **SECTIONS}):
        mark = f"goldpress-{secrets.token_hex(8)}"
        # One line for sudo: a script on stdin is not part of testinfra's interface.
        try:
            done = host.run("sudo -n sh -c %s", script(batch, mark))
        except RuntimeError as error:
            # testinfra raises its whole result, this script included, for ssh's own failures.
            said = str(getattr(error.args[0], "stderr", error)).strip()
            raise RuntimeError(f"the machine cannot be reached over ssh: {said}") from None
        if done.rc != 0:
            raise RuntimeError(f"looking at the machine failed with {done.rc}: {done.stderr}")
        sections.update(parse(done.stdout, batch, mark))
    return Facts(sections=sections)
