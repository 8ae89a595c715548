"""Owns looking at a machine: every fact the checks need, in two ssh round trips.

A round trip through an emulated machine takes longer than most checks, so one shell script, run
as root, collects named sections: their output and exit status. Checks never talk to the machine.
Then come the probes (see `probes`), which are denied on purpose, and what they left in the log.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Iterable
from typing import Any

import probes
import visits
from promise import Promise
from sections import Facts, Section, parse, script
from watched import Watched

START_UP_SECONDS = 120
MISLABELLED = "/var/lib/goldpress-mislabelled"

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
        'cd /dev/disk/by-partuuid && for u in *; do n=$(readlink -f "$u");'
        ' echo "$u $(cat "/sys/class/block/${n##*/}/dev")"; done'
    ),
    "verity-table": "dmsetup table --target verity",
    "verity-status": "dmsetup status --target verity",
    # Each would undo the read-only root. The second writes back what it read: were it let, the
    # machine would go on as it is.
    "remount-root": "mount -o remount,rw / 2>&1",
    "write-root-device": (
        "dd if=/dev/mapper/root of=/dev/mapper/root bs=4096 count=1 conv=notrunc,fsync 2>&1"
    ),
    # First and length of /var's partition and the length of its disk, in sectors of 512 bytes;
    # then the file system's blocks and their size.
    "var-size": (
        "n=$(findmnt --noheadings --output SOURCE --mountpoint /var); n=${n##*/};"
        ' cd "/sys/class/block/$n" && echo $(cat start size ../size)'
        " $(stat --file-system --format='%b %S' /var)"
    ),
    "write-usr": "touch /usr/.goldpress-probe 2>&1",
    "write-etc": "touch /etc/.goldpress-probe 2>&1",
    "write-var": "touch /var/.goldpress-probe && rm /var/.goldpress-probe",
    "confinement": (
        "grep --no-filename --extended-regexp '^(Name|Uid|CapEff|CapBnd|NoNewPrivs|Seccomp):'"
        " /proc/[0-9]*/status 2>/dev/null; true"
    ),
    "exposure": "systemd-analyze security --no-pager",
    "mounts": "findmnt --noheadings --list --output TARGET,FSTYPE,OPTIONS",
    "sshd": "sshd -T",
    "audit-status": "auditctl -s",
    # One row an interface and setting: names with a dot would not survive sysctl's own.
    "interfaces": (
        "cd /proc/sys/net && for f in ipv4/conf/*/rp_filter ipv4/conf/*/accept_redirects"
        " ipv4/conf/*/accept_source_route ipv6/conf/*/accept_redirects; do"
        ' read -r v <"$f"; echo "$f $v"; done'
    ),
    # One folder is labelled wrongly on purpose: whoever does not find it finds nothing.
    "labels": (
        f"mkdir -p {MISLABELLED} && chcon -t tmp_t {MISLABELLED} &&"
        " restorecon -n -r -v /etc /srv /usr/libexec/goldpress /usr/sbin /var/log"
        " $(ls -d /run/goldpress* /var/lib/goldpress*) 2>&1; status=$?;"
        f" rmdir {MISLABELLED}; exit $status"
    ),
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
    # Whether the user data names a log host; what that has acknowledged, at first after a while.
    "logs": (
        "if [ -e /run/goldpress/logs.env ]; then echo named; for _ in $(seq 60); do"
        " [ -s /var/lib/goldpress-logs/state ] && break; sleep 1; done;"
        " cat /var/lib/goldpress-logs/state; echo; fi;"
        " systemctl show --no-pager --property=Id,LoadState,ActiveState,Result,ConditionResult"
        " -- goldpress-logs.service goldpress-logs-last.service"
    ),
    "machine-id": "cat /etc/machine-id",
    "product-uuid": "cat /sys/class/dmi/id/product_uuid",
    "host-key": "ssh-keygen -l -f /var/lib/goldpress/ssh/ssh_host_ed25519_key.pub",
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
}

#: What this boot denied. The audit daemon's log outlives it: only what follows its last start.
DENIALS = {
    "denials": (
        "journalctl --boot --no-pager --output cat _TRANSPORT=audit 2>&1; dmesg;"
        ' for log in $(ls -tr /var/log/audit/audit.log* 2>/dev/null); do cat "$log"; done |'
        ' awk \'/^type=DAEMON_START/ { seen = "" } { seen = seen $0 "\\n" }'
        ' END { printf "%s", seen }\';'
        " if command -v ausearch >/dev/null; then"
        " ausearch --message avc,user_avc,selinux_err --start boot --raw 2>&1; fi; true"
    ),
}


def unit_section(units: Iterable[str]) -> str:
    """The command that shows the state of each unit."""
    names = " ".join(shlex.quote(unit) for unit in units)
    properties = "Id,LoadState,ActiveState,SubState,Result,Type,UnitFileState,ExecMainPID"
    return f"systemctl show --no-pager --property={properties} -- {names}"


def settings(promise: Promise) -> dict[str, str]:
    """Sections that follow from what the image promises: kernel settings, pools' sockets."""
    groups = (p for name, p in promise.parameters.items() if name.startswith("os-sysctl-"))
    keys = sorted({key for group in groups for key in group["values"]})
    owners = " ".join(sorted({"nginx", *(pool.user for pool in promise.pools)}))
    places = " ".join(
        f"{pool.run} {pool.socket} {pool.state} {pool.state}/sessions {pool.state}/uploads"
        for pool in promise.pools
    )
    found = {"accounts": f'for u in {owners}; do id "$u" || exit 1; done'}
    if keys:
        found["sysctl"] = f"sysctl {' '.join(keys)}"
    if places:
        found["pool-places"] = f"stat --format='%n %a %U' {places}"
    return found


def batches(promise: Promise) -> tuple[dict[str, str], ...]:
    """What is run together, in order: the denials follow all that has to go without one."""
    looked = {"units": unit_section(promise.services), **SECTIONS, **settings(promise)}
    visited = visits.sections(promise)
    return STARTED, {**looked, **visited, **DENIALS, **probes.sections(promise)}


def collect(host: Any, promise: Promise) -> Facts:
    """Look at the machine behind a testinfra host. Raises RuntimeError when it is unreachable."""
    sections: dict[str, Section] = {}
    for batch in batches(promise):
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
    return Facts(sections=Watched(sections))
