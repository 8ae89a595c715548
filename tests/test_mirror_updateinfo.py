from __future__ import annotations

import pytest

from goldpress.errors import TrustError
from goldpress.mirror.metadata.updateinfo import Advisory, Fix, read_updateinfo

#: As EPEL publishes them: CVEs are named in the titles of bugs, no epoch is "0".
EPEL = """\
<?xml version="1.0" encoding="UTF-8"?>
<updates>
  <update from="updates@example.org" status="stable" type="security" version="2.0">
    <id>FEDORA-EPEL-2024-0123456789</id>
    <title>tool-2.1-3.el9</title>
    <issued date="2024-10-01 01:02:03"/>
    <rights>Copyright (C) 2024 Red Hat, Inc. and others.</rights>
    <release>Fedora EPEL 9</release>
    <severity>urgent</severity>
    <summary>tool-2.1-3.el9 security update</summary>
    <description>Fix a hole, see CVE-2024-1003.</description>
    <references>
      <reference href="https://bugzilla.example.org/1" id="2300001" type="bugzilla"
        title="CVE-2024-1001 tool: hole &amp; more [epel-9]"/>
      <reference href="https://bugzilla.example.org/2" id="2300002" type="bugzilla" title=""/>
    </references>
    <pkglist>
      <collection short="EPEL-9">
        <name>Fedora EPEL 9</name>
        <package name="tool" version="2.1" release="3.el9" epoch="0" arch="src" src="u">
          <filename>tool-2.1-3.el9.src.rpm</filename>
        </package>
        <package name="tool" version="2.1" release="3.el9" epoch="0" arch="x86_64" src="u">
          <filename>tool-2.1-3.el9.x86_64.rpm</filename>
          <reboot_suggested>True</reboot_suggested>
        </package>
        <package name="tool-data" version="2.1" release="3.el9" arch="noarch"/>
      </collection>
    </pkglist>
  </update>
  <update from="updates@example.org" status="stable" type="enhancement" version="2.0">
    <id>FEDORA-EPEL-2024-aaaaaaaaaa</id>
    <title>tool-2.0-1.el9</title>
    <severity>None</severity>
    <references/>
    <pkglist>
      <collection><package name="tool" version="2.0" release="1.el9" epoch="0" arch="x86_64"/>
      </collection>
    </pkglist>
  </update>
</updates>
"""
#: As AlmaLinux publishes them: references of type cve, and a module's collection of its own.
ALMA = """\
<?xml version="1.0" encoding="UTF-8"?>
<updates>
  <update from="packager@example.org" status="final" type="security" version="2.0">
    <id>ALSA-2024:10952</id>
    <title>Moderate: php:8.2 security update</title>
    <severity>Moderate</severity>
    <description>PHP is a language. Security Fix(es): * php: a leak (CVE-2024-8925)</description>
    <references>
      <reference href="https://example.org/security/cve/CVE-2024-8927" id="CVE-2024-8927"
        title="" type="cve"/>
      <reference href="https://example.org/ALSA-2024-10952.html" id="ALSA-2024:10952"
        title="ALSA-2024:10952" type="self"/>
    </references>
    <pkglist>
      <collection short="php:8.2">
        <name>php:8.2</name>
        <module name="php" stream="8.2" version="9050020241112094217" context="9" arch="x86_64"/>
        <package name="php-cli" version="8.2.25" release="1.module_el9.5.0+127+b6ad28c8"
          epoch="0" arch="x86_64" src="php-8.2.25-1.module_el9.5.0+127+b6ad28c8.src.rpm"/>
      </collection>
    </pkglist>
  </update>
</updates>
"""


def read(text: str, *names: str) -> list[Advisory]:
    return list(read_updateinfo([text.encode()], frozenset(names)))


def test_an_advisory_of_epel() -> None:
    first, second = read(EPEL, "tool", "tool-data", "other")
    assert (first.id, first.severity) == ("FEDORA-EPEL-2024-0123456789", "Critical")
    assert first.cves == ("CVE-2024-1001", "CVE-2024-1003")
    assert [(fix.name, fix.arch) for fix in first.fixes] == [
        ("tool", "src"),
        ("tool", "x86_64"),
        ("tool-data", "noarch"),
    ]
    assert first.fixes[2] == Fix(
        name="tool-data", arch="noarch", epoch=0, version="2.1", release="3.el9", stream=""
    )
    assert (second.severity, second.cves) == ("", ())


def test_an_advisory_of_alma_about_a_module() -> None:
    (found,) = read(ALMA, "php-cli")
    assert found.cves == ("CVE-2024-8925", "CVE-2024-8927")
    assert (found.severity, found.fixes[0].stream) == ("Moderate", "php:8.2")


def test_advisories_about_other_packages_are_left_out() -> None:
    assert read(EPEL, "nginx") == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('arch="x86_64" src="php', 'src="php', "ALSA-2024:10952: <package> has no attribute 'arch"),
        ('version="8.2.25"', 'version="8.2-25"', "ALSA-2024:10952: '8.2-25' is not a version"),
        ('epoch="0"', 'epoch="none"', "ALSA-2024:10952: 'none' is not an epoch"),
        ('stream="8.2"', 'stream="8|2"', "ALSA-2024:10952: '8|2' is not the stream of a module"),
        ("<id>ALSA-2024:10952</id>", "", "update: <update> has 0 <id>, expected one"),
        ("<id>ALSA", "<id>[ALSA]", "'.ALSA.-2024:10952' is not the id of an advisory"),
        ("<updates>", "<metadata>", "updateinfo: .*the document is <metadata>, expected <updates>"),
        ("<updates>", "<!DOCTYPE updates []><updates>", "updateinfo: .*document type declaration"),
    ],
)
def test_what_is_no_advisory_is_refused(old: str, new: str, message: str) -> None:
    assert old in ALMA
    with pytest.raises(TrustError, match=message.replace("|", r"\|")):
        read(ALMA.replace(old, new), "php-cli")


def test_another_document_is_refused() -> None:
    with pytest.raises(TrustError, match=r"updateinfo: .*the document is <updates>, expected"):
        read('<updates xmlns="https://example.org/other"/>', "p")
    with pytest.raises(TrustError, match=r"updateinfo: .*is an HTML page"):
        read("<!doctype html><html><p>Log in", "p")
