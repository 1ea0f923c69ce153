"""Where a training goes on after it was killed."""

from __future__ import annotations

from pathlib import Path

from twin_assets.train.checkpoints import forget_those_of_another_base, newest_whole_checkpoint


def test_half_a_checkpoint_is_passed_over_and_removed(tmp_path: Path) -> None:
    for name, files in {
        "checkpoint-4": ("trainer_state.json", "optimizer.pt", "scheduler.pt", "rng_state.pth"),
        "checkpoint-8": ("trainer_state.json", "optimizer.pt"),
        "checkpoint-12": (),
    }.items():
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).write_text("{}")
    assert newest_whole_checkpoint(tmp_path) == str(tmp_path / "checkpoint-4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-4"]
    assert newest_whole_checkpoint(tmp_path / "none") is None


def test_checkpoints_of_another_base_are_not_gone_on_from(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    assert not forget_those_of_another_base(folder, "first")
    (folder / "checkpoint-4").mkdir()
    assert not forget_those_of_another_base(folder, "first")
    assert (folder / "checkpoint-4").exists()
    assert forget_those_of_another_base(folder, "second")
    assert not (folder / "checkpoint-4").exists()
    assert not forget_those_of_another_base(folder, "second")
