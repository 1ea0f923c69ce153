"""The section ``engine``: SGLang as ``twin up`` starts it, and what engines on Ray Serve have in common with it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pydantic import Field, field_validator, model_validator

from twin_resources.config.section import Section

_OURS = (
    *("--config", "--host", "--port", "--api-key", "--admin-api-key", "--model-path", "--model"),
    *("--tp", "--tp-size", "--tensor-parallel-size"),
)
_ONE = (
    *("--dp", "--dp-size", "--data-parallel-size"),
    *("--attn-dp-size", "--attention-data-parallel-size", "--enable-dp-attention"),
)
_STAGES = ("--pp", "--pp-size", "--pipeline-parallel-size")


class EngineSettings(Section):
    """SGLang as a process of ours: the interpreter that has it, and what it runs."""

    python: str = Field(
        "", description="the interpreter of SGLang's own environment; `twin up --engine sglang` asks it"
    )
    model: str = Field("", description="what SGLang loads, a folder or a name; by default that of models.base")
    options: tuple[str, ...] = Field((), description="more of SGLang's, such as --mem-fraction-static=0.8")
    gpus: int = Field(
        1, ge=0, description="of an engine, which splits each layer among them, after --pp-size split the layers"
    )
    start_minutes: float = Field(30, gt=0, description="for an engine to load its model and answer")
    check_seconds: float = Field(5, gt=0, description="between two looks at an engine; three bad ones replace it")

    @property
    def tensor_parallel(self) -> int:
        """GPUs that a layer is split among."""
        return max(1, self.gpus) // self._stages

    @property
    def device(self) -> str | None:
        """The device that the options name; None where SGLang looks for one."""
        return option(self.options, ("--device",))

    @property
    def _stages(self) -> int:
        return int(option(self.options, _STAGES) or 1)

    @field_validator("options")
    @classmethod
    def _options_leave_ours(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in (each.partition("=")[0] for each in value):
            if name in _OURS:
                raise ValueError(f"{name} is set by `model`, `gpus`, TWIN_ENGINE_KEY and where it runs; leave it out")
            if name in _ONE:
                raise ValueError(f"SGLang loads no adapters with {name}; have several engines instead")
        return value

    @model_validator(mode="after")
    def _stages_share_the_gpus(self) -> EngineSettings:
        stages = option(self.options, _STAGES) or "1"
        if not stages.isdecimal() or int(stages) < 1 or max(1, self.gpus) % int(stages):
            raise ValueError(f"gpus ({self.gpus}) has to be a multiple of --pp-size ({stages})")
        return self


def option(options: Sequence[str], names: Collection[str]) -> str | None:
    """The value that options give to one of some names, the last one where they repeat it."""
    found = None
    for at, each in enumerate(options):
        name, equals, value = each.partition("=")
        if name in names:
            found = value if equals else "".join(options[at + 1 : at + 2])
    return found
