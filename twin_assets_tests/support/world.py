"""An author of essays, with a database, through the assets."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg

from twin_assets import keys
from twin_assets.definitions import defs
from twin_resources.runtime.resources import AUTOMATIC, STARTED_BY, Twin
from twin_resources.sources.base import RawDocument
from twin_resources.sources.folder import Folder
from twin_resources.storage.datasets import DatasetVersion


@dataclass
class World:
    """An author of essays."""

    twin: Twin
    instance: dg.DagsterInstance
    texts: dict[int, str]

    def collect(self) -> None:
        """Read the essays as they are now; one that is gone has gone."""
        opened = Folder("/nowhere", self.twin.settings.author("ada").author)
        source = self.twin.warehouse.remember_source("ada", opened, {}, remembered=True)
        documents = [
            RawDocument(
                f"https://ada.example/{number}", "web", "articles", "text/markdown", text, title=f"Essay {number}"
            )
            for number, text in self.texts.items()
        ]
        self.twin.warehouse.collect("ada", source, documents, origin="folder", name="test", accept_removals=True)
        assert self._materialise({}, keys.clean("articles"), keys.chunks("articles"))

    def make(self, by: str = AUTOMATIC, **tags: str) -> DatasetVersion:
        """Collect and materialise the instruct dataset, as the daemon does it; returns the newest version."""
        self.collect()
        assert self._materialise({STARTED_BY: by, **tags}, keys.INSTRUCT)
        found = self.twin.datasets.newest("ada", "instruct")
        assert found
        return found

    def fails(self) -> bool:
        """Whether materialising the instruct dataset fails."""
        return not self._materialise({STARTED_BY: AUTOMATIC}, keys.INSTRUCT)

    def _materialise(self, tags: dict[str, str], *wanted: dg.AssetKey) -> bool:
        job = defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection=set(wanted))
        done = job.execute_in_process(
            instance=self.instance, partition_key="ada", resources={"twin": self.twin}, tags=tags, raise_on_error=False
        )
        return done.success

    def documents(self, version: DatasetVersion) -> set[str]:
        return {member.url for member in self.twin.datasets.members(version.id)}
