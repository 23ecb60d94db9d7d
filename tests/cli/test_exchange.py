from __future__ import annotations

import json
from pathlib import Path

import pytest

from memdefrag.base.errors import UsageError
from tests.cli.conftest import Cli, traces


@pytest.mark.parametrize("name", ["out.jsonl", "out.db"])
def test_an_export_holds_every_memory(cli: Cli, demo: Path, tmp_path: Path, name: str) -> None:
    before = traces(demo.parent)
    ended = cli("export", demo, tmp_path / name, "--json")
    assert (ended.code, ended.json["written"]) == (0, 61)
    assert ended.json["store"].endswith(f"/{name}")
    assert cli("inspect", tmp_path / name, "--json").json["collections"][0]["count"] == 61
    assert traces(demo.parent) == before


def test_a_part_can_be_exported(cli: Cli, demo: Path, tmp_path: Path) -> None:
    assert cli("export", demo, tmp_path / "few.jsonl", "--limit", 5, "--json").json["written"] == 5
    chosen = cli("export", demo, tmp_path / "none.jsonl", "--where", "source=elsewhere", "--json").json
    assert chosen["written"] == 0
    chosen = cli("export", demo, tmp_path / "all.jsonl", "--where", "source=demo", "--json").json
    assert chosen["written"] == 61


def test_what_was_tried_on_a_part_is_carried_out_in_the_store(cli: Cli, demo: Path, tmp_path: Path) -> None:
    whole, part, plan = tmp_path / "whole.db", tmp_path / "part.jsonl", tmp_path / "plan.json"
    cli("export", demo, whole)
    ended = cli("export", whole, part, "--limit", 20)
    assert f"apply PLAN --to {whole}" in " ".join(ended.out.split())
    sure = cli("analyze", part, "--save", plan, "--json").json["groups"]
    merged = cli("apply", plan, "--to", whole, "--json").json
    assert (merged["merged"], merged["skipped"]) == (len([each for each in sure if each["sure"]]), [])
    assert merged["records_after"] == 61 - merged["removed"]


@pytest.mark.parametrize("options", [["--where", "source"], ["--where", "=demo"], ["--limit", "0"]])
def test_a_part_must_be_named_rightly(cli: Cli, demo: Path, tmp_path: Path, options: list[str]) -> None:
    assert cli("export", demo, tmp_path / "out.jsonl", *options).code == UsageError.exit_code


def test_a_new_file_needs_a_name_that_says_what_it_is(cli: Cli, demo: Path, tmp_path: Path) -> None:
    assert cli("export", demo, tmp_path / "out.unknown").code == UsageError.exit_code
    assert cli("export", demo, f"jsonl:{tmp_path / 'out'}").code == 0


def test_a_tidied_file_comes_back_and_what_came_since_stays(cli: Cli, demo: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    cli("export", demo, file)
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join(line for line in lines if '"demo-02"' not in line), encoding="utf-8")
    with demo.open("a", encoding="utf-8") as store:
        store.write(json.dumps({"id": "since", "text": "This came since.", "metadata": {"source": "demo"}}) + "\n")
    ended = cli("import", file, demo, "--json")
    assert ended.code == 0
    assert (ended.json["removed"], ended.json["records_after"]) == (1, 61)
    assert ended.json["skipped"] == []
    [kept] = ended.json["kept"]
    assert kept["record"] == "demo/since"


def test_a_dry_import_leaves_no_trace(cli: Cli, demo: Path, export_file: Path) -> None:
    before = traces(demo.parent.parent)
    assert cli("import", export_file, demo, "--dry-run", "--json").json["written"] == 6
    assert traces(demo.parent.parent) == before


def test_a_dry_import_with_new_vectors_leaves_no_trace_either(cli: Cli, demo: Path, export_file: Path) -> None:
    pytest.importorskip("sentence_transformers")
    before = traces(demo.parent.parent)
    assert cli("import", export_file, demo, "--dry-run", "--regenerate-embeddings", "--json").json["written"] == 6
    assert traces(demo.parent.parent) == before


def test_printed_commands_can_be_pasted_whatever_the_names(cli: Cli, demo: Path, tmp_path: Path) -> None:
    store = demo.rename(demo.with_name("my störe.jsonl"))
    out = " ".join(cli("export", store, tmp_path / "an export.jsonl").out.split())
    assert f"memdefrag import '{tmp_path}/an export.jsonl' '{store}'" in out
    assert f"apply PLAN --to '{store}'" in out


def test_what_can_only_be_read_is_not_offered_a_way_back(cli: Cli, demo: Path, tmp_path: Path) -> None:
    backup = cli("backup", "create", demo, "--json").json["backup"]["id"]
    ended = cli("export", f"backup:{backup}", tmp_path / "out.jsonl")
    assert ended.code == 0
    assert "optimize" in ended.out and "import" not in ended.out and "--to" not in ended.out


def test_of_several_collections_it_is_said_which_was_taken(cli: Cli, tmp_path: Path) -> None:
    store = tmp_path / "two.jsonl"
    lines = [{"id": "1", "text": "A note.", "collection": name} for name in ("memory_collection", "b")]
    store.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    out = cli("export", store, tmp_path / "one.jsonl").out
    assert "Of 2 collections this is memory_collection" in out
    assert "--collection b" in cli("export", store, tmp_path / "b.jsonl", "--collection", "b").out
