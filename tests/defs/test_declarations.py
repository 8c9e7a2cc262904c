"""An asset reads only what it declares; what it declares decides what is stale, in building and planning."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import dagster as dg
import pytest
from pydantic import BaseModel

from tests import pipeline
from tests.pipeline import SYMBOL
from trading_assets.cli.home import open_instance
from trading_assets.config import Settings, load_settings
from trading_assets.config.section import Section
from trading_assets.defs.asset_factory import symbol_asset
from trading_assets.defs.assets import PIPELINE
from trading_assets.defs.pipeline import BuildContext
from trading_assets.defs.resources import Workspace
from trading_assets.defs.settings_view import DeclaredSettings
from trading_assets.defs.staleness import asset_states, settings_digest, to_run
from trading_assets.errors import SettingsError, UndeclaredError
from trading_assets.registry.artifacts import BuildResult

# --- what an asset may read


@pytest.fixture
def failure_of(data_dir: Path) -> Iterator[Callable[..., str]]:
    """Registers an asset that reads something, materializes it, and gives the words it failed with."""
    pipeline.write_bars(data_dir)
    instance = open_instance()
    instance.add_dynamic_partitions("symbols", [SYMBOL])

    def run(read: Callable[[BuildContext], object], **declared: Any) -> str:
        @symbol_asset(
            name="reader", group="j_deploy", category="models", method=1, kinds=(), fits=False, **declared
        )
        def build(context: BuildContext) -> BuildResult:
            """Reads something."""
            return BuildResult(identity=str(read(context)))

        resources = {"workspace": Workspace()}
        result = dg.materialize(
            [build], instance=instance, partition_key=SYMBOL, resources=resources, raise_on_error=False
        )
        if result.success:
            return ""
        (event,) = result.get_step_failure_events()
        failure = event.step_failure_data.user_failure_data
        return failure.description or "" if failure else str(event.step_failure_data.error)

    yield run
    PIPELINE.pop("reader", None)


def test_an_undeclared_section_fails_the_asset_with_the_declaration_that_mends_it(
    failure_of: Callable[..., str],
) -> None:
    message = failure_of(lambda context: context.settings.costs.fee_bps, settings=("ppo", "seed"))
    assert message == (
        "reader reads the setting costs without declaring it; a change of it would go unnoticed. "
        'Declare it: settings=("ppo", "seed", "costs")'
    )
    assert failure_of(lambda context: context.settings.costs.fee_bps, settings=("ppo", "seed", "costs")) == ""


def test_an_undeclared_field_of_a_section_fails_the_asset(failure_of: Callable[..., str]) -> None:
    declared = ("bundle.warm_up_bars",)
    message = failure_of(lambda context: context.settings.bundle.latency_calls, settings=declared)
    assert message.endswith('settings=("bundle.warm_up_bars", "bundle.latency_calls")')
    assert failure_of(lambda context: context.settings.bundle.warm_up_bars, settings=declared) == ""


@pytest.mark.parametrize("whole", [lambda s: s.bundle.model_dump(), lambda s: s.bundle.model_copy()])
def test_a_whole_section_is_not_read_by_declaring_a_field_of_it(
    failure_of: Callable[..., str], whole: Callable[[Settings], object]
) -> None:
    message = failure_of(lambda context: whole(context.settings), settings=("bundle.warm_up_bars",))
    assert message.endswith('settings=("bundle",)')


def test_all_settings_at_once_cannot_be_read(failure_of: Callable[..., str]) -> None:
    assert "reads all settings at once" in failure_of(lambda context: context.settings.model_dump())


def test_the_market_file_and_the_trials_have_to_be_declared(failure_of: Callable[..., str]) -> None:
    assert failure_of(lambda context: context.source).endswith("Declare it: reads_source=True")
    assert failure_of(lambda context: context.source_digest).endswith("Declare it: reads_source=True")
    assert failure_of(lambda context: context.tried.n_trials).endswith("Declare it: reads_trials=True")
    assert failure_of(lambda context: context.source.name + context.source_digest, reads_source=True) == ""
    assert failure_of(lambda context: context.tried.n_trials, reads_trials=True) == ""


def test_a_declared_setting_that_does_not_exist_is_named(failure_of: Callable[..., str]) -> None:
    message = failure_of(lambda context: 0, settings=("bundle.warmup_bars",))
    assert message == "reader declares the setting bundle.warmup_bars, which does not exist."


def test_a_view_gives_declared_sections_as_they_are_and_no_default_for_others() -> None:
    settings = Settings()
    view = DeclaredSettings(settings, ("costs", "labels.horizon"), "mine")
    assert view.costs is settings.costs
    assert view.labels.horizon == settings.labels.horizon
    assert view.values() == {"costs": settings.costs.model_dump(), "labels.horizon": settings.labels.horizon}
    with pytest.raises(UndeclaredError):
        getattr(view, "risk", None)
    with pytest.raises(AttributeError):
        view.nothing_of_the_kind  # noqa: B018
    with pytest.raises(SettingsError):
        DeclaredSettings(settings, ("cost",), "mine").values()


# --- what makes an asset stale


def leaves(section: type[Section], prefix: str = "") -> Iterator[str]:
    """Dotted names of all fields that hold no section themselves."""
    for name, field in section.model_fields.items():
        inner = [field.annotation, *get_args(field.annotation)]
        sections = [one for one in inner if isinstance(one, type) and issubclass(one, Section)]
        if sections and isinstance(field.annotation, type):
            yield from leaves(sections[0], f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def changed(section: BaseModel, path: str) -> BaseModel:
    """A copy in which the field at `path` has another value; not validated, for only its digest matters."""
    name, _, rest = path.partition(".")
    value = getattr(section, name)
    other: Any
    if rest:
        other = changed(value, rest)
    elif isinstance(value, bool):
        other = not value
    elif isinstance(value, (int, float)):
        other = value + 1
    elif isinstance(value, str):
        other = f"{value}, another"
    elif isinstance(value, tuple):
        other = (*value, *value)
    else:
        other = {"another": ()} if value == {} else "another"
    return section.model_copy(update={name: other})


def not_fresh(settings: Settings) -> set[str]:
    workspace = Workspace()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # values that `changed` took from no list of choices
        return set(to_run(asset_states(workspace.store, workspace.source, settings, SYMBOL)))


def reached_by(path: str) -> set[str]:
    """Assets that declare the setting, or a section around it, and all that are made from them."""
    reached: set[str] = set()
    for name, asset in PIPELINE.items():
        declares = any(path == declared or path.startswith(f"{declared}.") for declared in asset.settings)
        if declares or reached & set(asset.inputs):
            reached.add(name)
    return reached


def test_after_a_build_every_asset_is_fresh(trained: Path) -> None:
    assert not_fresh(load_settings("smoke", SYMBOL)) == set()


@pytest.mark.parametrize("path", leaves(Settings))
def test_a_changed_setting_reaches_those_that_declare_it_and_what_is_made_from_them(
    trained: Path, path: str
) -> None:
    settings = changed(load_settings("smoke", SYMBOL), path)
    assert isinstance(settings, Settings)
    assert not_fresh(settings) == reached_by(path)


def test_a_folder_among_the_settings_reaches_the_bars_like_any_other_setting(trained: Path) -> None:
    """A path is no JSON by itself."""
    settings = load_settings("smoke", SYMBOL, {"market": {"quarantine_dir": "/somewhere"}})
    assert settings_digest(settings) != settings_digest(load_settings("smoke", SYMBOL))
    assert not_fresh(settings) == reached_by("market.quarantine_dir") == set(PIPELINE)


def test_a_setting_that_nobody_declares_reaches_nothing(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = changed(load_settings("smoke", SYMBOL), "bundle.latency_calls")
    assert isinstance(settings, Settings)
    assert not_fresh(settings) == {"policy_bundle", "backtest_report"}
    fewer = tuple(name for name in PIPELINE["policy_bundle"].settings if name != "bundle")
    monkeypatch.setitem(PIPELINE, "policy_bundle", replace(PIPELINE["policy_bundle"], settings=fewer))
    before = not_fresh(load_settings("smoke", SYMBOL))
    assert not_fresh(settings) == before
