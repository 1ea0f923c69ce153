"""The section ``training.search``: how hyper-parameters are looked for, and within which ranges."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from twin_resources.config.section import Section

Rate = Annotated[float, Field(gt=0, le=1)]
Rank = Annotated[int, Field(ge=1, le=512)]
Epochs = Annotated[int, Field(ge=1, le=50)]
Dropout = Annotated[float, Field(ge=0, lt=1)]
Multiple = Annotated[float, Field(gt=0, le=16)]


class SearchSettings(Section):
    """A search for hyper-parameters: trainings of fewer tokens, each with others, held against one another."""

    trials: int = Field(20, ge=1, le=1000, description="the first ones are of what is set and of the best so far")
    token_budget: int = Field(12_000, ge=500, description="training tokens of a trial; no more than of a training")
    learning_rate: tuple[Rate, Rate] = Field((1e-4, 3e-3), description="lowest and highest")
    rank: tuple[Rank, ...] = Field((4, 8, 16, 32), min_length=1, description="which are tried")
    alpha: tuple[Multiple, ...] = Field((1.0, 2.0, 4.0), min_length=1, description="as multiples of the rank")
    epochs: tuple[Epochs, Epochs] = Field((1, 3), description="fewest and most")
    dropout: tuple[Dropout, ...] = Field((0.0, 0.05, 0.1), min_length=1, description="which are tried")
    startup_trials: int = Field(5, ge=1, description="trials at random, and none is pruned before them")
    pruning: bool = Field(True, description="end a trial whose validation loss is above the median of those before")

    @model_validator(mode="after")
    def _in_order(self) -> SearchSettings:
        for name in ("learning_rate", "epochs"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name}: {low} is above {high}; write the lower one first")
        return self
