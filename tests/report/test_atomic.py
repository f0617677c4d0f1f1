"""Files written whole outlive a power cut, and so do the folders that were made for them."""

from pathlib import Path

import pytest

from clinic_mm.report import atomic


def test_every_folder_with_a_new_name_in_it_is_synchronised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(atomic, "synchronised", synced.append)
    run = tmp_path / "run"
    atomic.written_whole(run / "shards" / "day=1" / "part-0.parquet", b"rows")
    assert set(synced) == {tmp_path, run, run / "shards", run / "shards" / "day=1"}
    synced.clear()
    atomic.all_written_whole({run / "shards" / "day=2" / "part-1.parquet": b"rows", run / "run.json": b"{}"})
    assert sorted(synced) == sorted([run, run / "shards", run / "shards" / "day=2"])
    synced.clear()
    atomic.written_whole(run / "run.json", b"{}")
    assert synced == [run]
    atomic.folder_made(tmp_path / "other" / "run")
    assert set(synced[1:]) == {tmp_path, tmp_path / "other"}
