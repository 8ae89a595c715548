"""Both forms for people: Markdown and the table of a terminal."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

from rich.console import Console
from test_mirror_pairs import build

from goldpress.mirror.difference.change import (
    Build,
    Change,
    Cve,
    Difference,
    Findings,
    Kind,
    Side,
    Source,
    document,
)
from goldpress.mirror.difference.markdown import markdown
from goldpress.mirror.difference.table import table

KNOWN = ("changelog",)


def change(kind: Kind, before: Build | None, after: Build | None) -> Change:
    some = after or before
    assert some is not None
    return Change(kind=kind, name=some.name, arch=some.arch, before=before, after=after)


def up(name: str) -> Change:
    after = replace(build(name, "1:2-1"), size=1_500_000)
    return change("up", replace(build(name, "1:1-1"), size=300_000), after)


def source(name: str, *changes: Change, stream: str = "", **findings: Any) -> Source:
    compared = any(row.before and row.after for row in changes)
    found = Findings(**findings) if compared else None
    return Source(name=name, stream=stream, changes=changes, findings=found)


def cve(id_: str, severity: str = "") -> Cve:
    return Cve(id=id_, by=KNOWN, severity=severity)


def difference(*sources: Source, remarks: tuple[str, ...] = ()) -> Difference:
    return Difference(
        before=Side(name="old", digest="sha256:1", packages=10, size=5_000_000),
        after=Side(name="new", digest="sha256:2", packages=11, size=4_000_000),
        sources=sources,
        remarks=remarks,
    )


WHOLE = difference(
    source("bare", up("bare")),
    source(
        "web",
        *(up(f"web-{n}") for n in "abcdefgh"),
        change("down", build("web-x", "9-1"), build("web-x", "8-1")),
        fixed=(cve("CVE-2024-1111", "Important"), cve("CVE-2024-2222")),
        reopened=(cve("CVE-2020-3333"),),
        consulted=KNOWN,
    ),
    source("calm", up("calm"), consulted=KNOWN),
    source("long", up("long"), consulted=KNOWN, complete=False),
    source("told", up("told"), consulted=("alma-9",), complete=False),
    source("gone", change("removed", build("gone", "1-1"), None)),
    source("php", up("php-cli"), stream="php:8.2", consulted=KNOWN),
    remarks=("module php: 8.1 -> 8.2",),
)


def shown(found: Difference) -> str:
    stream = io.StringIO()
    Console(file=stream, width=250).print(table(found))
    return stream.getvalue()


def test_markdown() -> None:
    assert markdown(WHOLE) == (
        "### `old` → `new`\n"
        "\n"
        "- packages: 1 down, 1 removed, 13 up; 19.5 MB of new ones; 10 → 11 in all (-1.0 MB)\n"
        "- CVEs named by what is new: 2; no longer fixed: 1; no CVE data for 1 of 6 source "
        "packages\n"
        "\n"
        "| source package | change | version | packages | size | CVEs |\n"
        "|---|---|---|---|---:|---|\n"
        "| `bare` | up | 1:1-1 → 1:2-1 | bare | +1.2 MB | no CVE data |\n"
        "| `web` | **down** | 9-1 → 8-1 | web-x | 0 B | no longer fixed: CVE-2020-3333; "
        "CVE-2024-1111 (Important), CVE-2024-2222 |\n"
        "|  | up | 1:1-1 → 1:2-1 | web-a, web-b, web-c, web-d, web-e and 3 more | +9.6 MB |  |\n"
        "| `calm` | up | 1:1-1 → 1:2-1 | calm | +1.2 MB | none named |\n"
        "| `long` | up | 1:1-1 → 1:2-1 | long | +1.2 MB | none named; the kept changelog does "
        "not reach back: there may be more |\n"
        "| `told` | up | 1:1-1 → 1:2-1 | told | +1.2 MB | none named; no changelog; advisories "
        "only |\n"
        "| `gone` | removed | 1-1 | gone | -100 B |  |\n"
        "\n"
        "#### module `php:8.2`\n"
        "\n"
        "| source package | change | version | packages | size | CVEs |\n"
        "|---|---|---|---|---:|---|\n"
        "| `php` | up | 1:1-1 → 1:2-1 | php-cli | +1.2 MB | none named |\n"
        "\n"
        "> module php: 8.1 -\\> 8.2\n"
        ">\n"
    )


def test_no_difference() -> None:
    assert markdown(difference()) == "### `old` → `new`\n\n- no package changed\n"
    assert shown(difference()) == "old → new\nno package changed\n"


def test_no_data_is_never_called_no_cves() -> None:
    text = markdown(difference(source("a", up("a")), source("b", up("b"))))
    assert "- no CVE data: nothing says which CVEs these changes are about\n" in text
    assert "none" not in text
    assert "CVEs named" not in text


def test_what_is_only_added_asks_for_no_data() -> None:
    text = markdown(difference(source("a", change("added", None, build("a", "1-1")))))
    assert "CVE data" not in text
    assert "| `a` | added | 1-1 | a | +100 B |  |\n" in text


def test_many_names_are_a_number() -> None:
    many = tuple(cve(f"CVE-2024-{1000 + n}") for n in range(400))
    text = markdown(difference(source("kernel", up("kernel"), fixed=many, consulted=KNOWN)))
    assert "CVE-2024-1007 and 392 more |" in text
    assert "CVE-2024-1008" not in text
    assert len(document(difference(source("k", up("k"), fixed=many)))["cves"]["fixed"]) == 400


def test_a_comment_has_room_for_so_much_and_what_matters_comes_first() -> None:
    calm = [source(f"calm-{n:04}", up(f"calm-{n:04}"), consulted=KNOWN) for n in range(2000)]
    loud = source("zz", up("zz"), fixed=(cve("CVE-2024-1111"),), consulted=KNOWN)
    text = markdown(difference(*calm, loud, remarks=("the last word",)))
    assert 59_500 < len(text) <= 60_000
    assert "CVE-2024-1111" in text
    assert "the last word" in text
    rows = text.count("| `")
    assert f"\n{2001 - rows} more source packages have no room here; the JSON form has all." in text
    small = markdown(difference(*calm, loud), limit=1000)
    assert len(small) <= 1000
    assert "CVE-2024-1111" in small


def test_a_long_remark_is_cut() -> None:
    text = markdown(difference(source("a", up("a")), remarks=("x" * 100_000,)))
    assert len(text) <= 60_000
    assert "| `a` | up |" in text


def test_names_cannot_speak_markdown() -> None:
    name = "a`b|c\n<img>"
    text = markdown(difference(source(name, up("x|y@z")), remarks=("@someone <b> [a](b)",)))
    assert "| `abc<img>` | up | 1:1-1 → 1:2-1 | x\\|y\\@z |" in text
    assert "> \\@someone \\<b\\> \\[a\\](b)\n" in text


def test_other_bytes_and_other_streams_are_said() -> None:
    one = build("a", "1-1")
    respun = change("rebuilt", one, replace(one, sha256="x"))
    moved = change("up", one, replace(build("a", "2-1"), stream="php:8.2"))
    text = markdown(difference(source("a", respun), source("b", moved)))
    assert "| rebuilt | 1-1, other bytes | a |" in text
    assert "| 1-1 (not modular) → 2-1 (php:8.2) | a |" in text


def test_architectures_are_named_where_there_are_two() -> None:
    one, two = build("a", "1-1"), build("a", "1-1", arch="i686")
    text = markdown(difference(source("a", change("added", None, one), change("added", None, two))))
    assert "| a.x86\\_64, a.i686 |" in text


def test_a_terminal_shows_the_same() -> None:
    text = shown(WHOLE)
    for line in (
        "old → new",
        "CVEs named by what is new: 2; no longer fixed: 1; no CVE data for 1 of 6",
        "CVE-2024-1111 (Important), CVE-2024-2222",
        "web-a, web-b, web-c and 5 more",
        "module php:8.2",
        "note: module php: 8.1 -> 8.2",
    ):
        assert line in text
    assert text.count("no CVE data") == 2


def test_a_terminal_takes_no_markup_from_names() -> None:
    text = shown(difference(source("[red]a", up("[bold]b"))))
    assert "[red]a" in text
    assert "[bold]b" in text


def test_json_has_it_all() -> None:
    found = document(WHOLE)
    assert found["packages"] == {"down": 1, "removed": 1, "up": 13, "added": 0, "rebuilt": 0}
    assert found["cves"] == {
        "fixed": ["CVE-2024-1111", "CVE-2024-2222"],
        "reopened": ["CVE-2020-3333"],
    }
    assert [row["cves"]["data"] for row in found["sources"]] == [
        *("none", "complete", "complete", "incomplete", "incomplete", "not applicable"),
        "complete",
    ]
    assert found["sources"][1]["cves"]["fixed"][0] == {
        "id": "CVE-2024-1111",
        "by": ["changelog"],
        "severity": "Important",
    }
    assert found["sources"][5]["changes"] == [
        {
            "kind": "removed",
            "name": "gone",
            "arch": "x86_64",
            "before": {
                "evr": "1-1",
                "sha256": "gone 1-1 x86_64",
                "size": 100,
                "repository": "base",
                "stream": None,
            },
            "after": None,
        }
    ]
    assert found["remarks"] == ["module php: 8.1 -> 8.2"]
    assert found["new_bytes"] == 13 * 1_500_000 + 100
