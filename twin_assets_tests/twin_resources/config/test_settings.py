"""``twin.yaml`` and its errors, which name the line and the fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from twin_resources.config.settings import SECTIONS, SettingsError, load
from twin_resources.config.training import PRESETS, TrainingSettings
from twin_resources.sources.opener import SourceOpener

GOOD = """\
authors:
  - id: me
    name: Me Myself
    consent: "These accounts are mine. 2026-11-21"
    sources:
      - folder: notes
        base_url: https://me.example
    schedule: "0 6 * * 1"
training: {epochs: 2}
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "twin.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_good_file(tmp_path: Path) -> None:
    settings = load(write(tmp_path, GOOD))
    author = settings.author("me")
    opened = SourceOpener.of(settings).entry(author.author, author.sources[0])
    assert opened.location == str(tmp_path / "notes"), "relative paths start at the file"
    assert opened.options == {"base_url": "https://me.example"}
    assert settings.training.epochs == 2
    assert settings.training.rank == 16


def test_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWIN_TRAINING__EPOCHS", "5")
    monkeypatch.setenv("TWIN_API_PORT", "9001")
    monkeypatch.setenv("TWIN_DATABASE_URL", "postgresql://user:hunter2@db/twin")
    settings = load(write(tmp_path, GOOD))
    assert (settings.training.epochs, settings.api_port) == (5, 9001)
    assert settings.training.rank == 16, "one variable does not reset its neighbours"
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("  - id: me", "  - id: Me!", 2, "id"),
        ('consent: "These accounts are mine. 2026-11-21"', "consent: yes", 4, "consent"),
        ('"These accounts are mine. 2026-11-21"', '"Mine, really mine."', 4, "with a date"),
        ("- folder: notes", "- fodler: notes", 6, "name exactly one kind of source"),
        ("base_url: https://me.example", "base: x", 6, "no option `base`"),
        ('"0 6 * * 1"', '"every monday"', 8, "cron"),
        ("{epochs: 2}", "{epochs: 0}", 9, "greater than or equal to 1"),
        ("{epochs: 2}", "{epoch: 2}", 9, "Extra inputs"),
        ("training:", "trainning:", 9, "no section `trainning`"),
        ("authors:", "authors: [", 2, "not valid YAML"),
    ],
)
def test_errors_name_the_line_and_the_fix(tmp_path: Path, old: str, new: str, line: int, says: str) -> None:
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(SettingsError) as caught:
        load(path)
    assert f"{path}:{line}:" in str(caught.value), caught.value
    assert says in str(caught.value)


def test_who_has_no_file_is_told_of_the_one_that_make_run_takes(tmp_path: Path) -> None:
    sample = tmp_path / "examples" / "sample" / "twin.yaml"
    sample.parent.mkdir(parents=True)
    sample.touch()
    with pytest.raises(SettingsError, match="the sample author's is TWIN_CONFIG=examples"):
        load(tmp_path / "twin.yaml")


def test_a_missing_file_and_an_unknown_author(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="twin init"):
        load(tmp_path / "none.yaml")
    with pytest.raises(SettingsError, match="authors there: me"):
        load(write(tmp_path, GOOD)).author("you")


def test_an_author_begins_in_a_database_that_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = GOOD.replace("  - id: me", "  - id: me\n    database: two")
    with pytest.raises(SettingsError, match="author `me` has the database `two`; TWIN_SHARDS has main"):
        load(write(tmp_path, text))
    monkeypatch.setenv("TWIN_SHARDS__TWO", "postgresql://user:hunter2@db/two")
    settings = load(write(tmp_path, text))
    assert settings.beginnings == {"me": "two"}
    assert settings.addresses["two"].url == "postgresql://user:hunter2@db/two"
    assert "hunter2" not in repr(settings)
    monkeypatch.setenv("TWIN_SHARDS", '{"Main!": "postgresql://db/x"}')
    with pytest.raises(SettingsError, match="name a database with small letters"):
        load(write(tmp_path, text))


def test_two_authors_need_two_ids(tmp_path: Path) -> None:
    text = GOOD.replace("training", GOOD.split("authors:\n")[1].split("training")[0] + "training")
    with pytest.raises(SettingsError, match="two authors have the id `me`"):
        load(write(tmp_path, text))


def test_a_base_is_shared_by_several_and_not_in_four_bits(tmp_path: Path) -> None:
    def training(told: str) -> TrainingSettings:
        return load(write(tmp_path, GOOD.replace("{epochs: 2}", told))).training

    assert training("{processes: 2}").shard == "auto"
    assert training("{nodes: 2, shard: true}").shard is True
    with pytest.raises(SettingsError, match=r"one process has nobody to share the base with: set training.processes"):
        training("{shard: true}")
    with pytest.raises(SettingsError, match=r"4 bits cannot be sharded, .*Set training.quantization to null"):
        training("{processes: 2, shard: true, quantization: nf4}")


def test_every_section_of_the_settings_may_stand_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "twin.yaml"
    file.write_text("authors: []\nanswers: {refused: 0.1, licence: 0.8}\nprivacy: {}\nretrieval: {}\nmodels: {}\n")
    assert load(file).answers.refused == 0.1
    assert "answers" in SECTIONS
    assert not {"home", "keys", "host"} & set(SECTIONS)


def test_a_preset_sets_what_nobody_set_and_keeps_the_size_of_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = load(write(tmp_path, GOOD)).training
    for preset in PRESETS:
        chosen = load(write(tmp_path, GOOD.replace("{epochs: 2}", f"{{epochs: 2, preset: {preset}}}"))).training
        assert chosen.gradient_checkpointing
        assert chosen.epochs == 2
        assert chosen.batch_size * chosen.gradient_accumulation == plain.batch_size * plain.gradient_accumulation, (
            preset
        )
    monkeypatch.setenv("TWIN_TRAINING__PRESET", "70b")
    mine = load(write(tmp_path, GOOD.replace("{epochs: 2}", "{rank: 64, batch_size: 4, quantization: null}"))).training
    assert (mine.rank, mine.alpha, mine.batch_size, mine.gradient_accumulation) == (64, 128, 4, 2)
    assert mine.quantization is None
    monkeypatch.delenv("TWIN_TRAINING__PRESET")
    with pytest.raises(SettingsError, match=r"twin.yaml:9: .*'laptop', '7b'"):
        load(write(tmp_path, GOOD.replace("{epochs: 2}", "{preset: 8b}")))
