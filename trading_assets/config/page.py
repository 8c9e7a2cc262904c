"""Every setting as a page: its name, default and range, and what it means. It is in `docs/`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from trading_assets.config.explain import bounds_of
from trading_assets.config.section import Section
from trading_assets.config.settings import PreprocessingStep, Settings

HEAD = """# Every setting
Made from the code (`python -m trading_assets.config.page > docs/settings-reference.md`). How settings are
given is told in [settings and profiles](settings.md); profiles may have other defaults.
"""


def settings_page() -> str:
    """Markdown: a table of each section, then the steps of preprocessing and a risk limit's parts."""
    parts = [HEAD, "## At the top\n", _table({"seed": Settings.model_fields["seed"]}, "")]
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            parts += [f"## `{name}`\n", f"{_sentence(section)}\n", _table(section.model_fields, f"{name}.")]
    parts.append("## Steps of `preprocessing`\nEach is a mapping with its name under `step`.\n")
    for step in _models(PreprocessingStep):
        own = {name: field for name, field in step.model_fields.items() if name != "step"}
        parts += [f"### `{step.model_fields['step'].default}`\n", f"{_sentence(step)}\n", _table(own, "")]
    limit = next(_models(Settings.model_fields["risk"].annotation.model_fields["drawdown"].annotation))  # type: ignore[union-attr]
    parts += ["## A limit of `risk`\n", f"{_sentence(limit)}\n", _table(limit.model_fields, "")]
    return "\n".join(parts)


def sections() -> dict[str, str]:
    """The settings of every section, by its name, as words."""
    return {
        name: ", ".join(field.annotation.model_fields)
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }


def _table(fields: dict[str, FieldInfo], prefix: str) -> str:
    lines = ["| setting | default | range | meaning |", "| --- | --- | --- | --- |"]
    for name, field in fields.items():
        cells = (
            f"`{prefix}{name}`",
            _default(field),
            _range(field),
            " ".join((field.description or "").split()),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, tuple) and any(isinstance(one, Section) for one in value):
        return ", ".join(f"`{one.step}`" for one in value)
    if isinstance(value, Section):
        set_values = {k: v for k, v in value.model_dump().items() if v is not None}
        return f"`{set_values}`"
    return f"`{list(value) if isinstance(value, tuple) else value}`"


def _range(field: FieldInfo) -> str:
    return ", ".join(f"`{word}`" for word in _words(field.annotation)) or bounds_of(field)


def _words(annotation: Any) -> Iterator[str]:
    """What a setting that is one of some words may be."""
    for part in get_args(annotation):
        if isinstance(part, str):
            yield part
        elif get_origin(part) is Literal:
            yield from _words(part)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Of an annotation such as `A | B | None`."""
    for part in get_args(annotation):
        if isinstance(part, type) and issubclass(part, BaseModel):
            yield part
        else:
            yield from _models(part)


def _sentence(model: type[BaseModel]) -> str:
    """The first one of its docstring."""
    return " ".join((model.__doc__ or "").split("\n\n")[0].split())


if __name__ == "__main__":
    print(settings_page(), end="")
