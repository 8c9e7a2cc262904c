"""What an agent sees and what it may do, as spaces that say what their numbers mean.

Two spaces of one shape may mean different things: 4 bars of 3 columns or 2 of 6, other levels, another
leverage. An agent carries its spaces (Stable-Baselines3 saves them with it), so what it was trained under
travels with it and is compared before it is judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from trading_assets.config.settings import EnvConfig
from trading_assets.errors import DivergedError, SchemaError

Terms = Mapping[str, Any]
"""`levels` (None where a target is any number), `max_leverage`, `window`, and `columns` of the table."""
_FEATURE_BOUND = float(np.finfo(np.float32).max)
_ACCOUNT_LOW = (-1.0, -5.0, 0.0, 0.0)
_ACCOUNT_HIGH = (1.0, 5.0, 5.0, 3.0)
_SEEN, _DONE = ("window", "columns"), ("levels", "max_leverage")


def terms_of(config: EnvConfig, n_columns: int) -> dict[str, Any]:
    """What the actions and observations of a market mean."""
    return {
        "levels": None if config.levels is None else list(config.levels),
        "max_leverage": config.max_leverage,
        "window": config.window,
        "columns": n_columns,
    }


class _MeaningfulSpace(gym.Space[Any]):  # noqa: PLW1641 - Box and Discrete have no hash either
    """Equal to a space that has the same terms, or none."""

    terms: Terms

    def __eq__(self, other: object) -> bool:
        return bool(super().__eq__(other)) and self.terms == getattr(other, "terms", self.terms)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_listed(self.terms)})"


class LevelSpace(_MeaningfulSpace, gym.spaces.Discrete):
    """The places of discrete position targets."""


class TargetSpace(_MeaningfulSpace, gym.spaces.Box):
    """A position target from -1 to 1."""


class WindowSpace(_MeaningfulSpace, gym.spaces.Box):
    """The last bars of a table, then the account."""


def build_observation_space(n_columns: int, config: EnvConfig) -> WindowSpace:
    """A window of `n_columns` a bar, oldest bar first, then the values of `kernel.ACCOUNT_NAMES`.

    Parameters
    ----------
    n_columns : int
        Of the table that is seen.
    config : EnvConfig
        Of which `window` and `levels` are read.

    Returns
    -------
    WindowSpace
        Of shape (window * n_columns + 4,), float32.

    Examples
    --------
    >>> build_observation_space(3, EnvConfig(window=2)).shape
    (10,)
    """
    bound = np.full(config.window * n_columns, _FEATURE_BOUND)
    low = np.concatenate([-bound, _ACCOUNT_LOW]).astype(np.float32)
    high = np.concatenate([bound, _ACCOUNT_HIGH]).astype(np.float32)
    space = WindowSpace(low, high, dtype=np.float32)
    terms = terms_of(config, n_columns)
    space.terms = {name: terms[name] for name in _SEEN}
    return space


def build_action_space(config: EnvConfig) -> LevelSpace | TargetSpace:
    """The places of the discrete levels, or a position target from -1 to 1.

    Parameters
    ----------
    config : EnvConfig
        Of which `levels` and `max_leverage` are read.

    Returns
    -------
    LevelSpace or TargetSpace

    Examples
    --------
    >>> build_action_space(EnvConfig(levels=(-1.0, 0.0, 1.0)))
    LevelSpace(levels [-1.0, 0.0, 1.0], max_leverage 1.0)
    """
    space: LevelSpace | TargetSpace
    if config.levels is not None:
        space = LevelSpace(len(config.levels))
    else:
        space = TargetSpace(-1.0, 1.0, (1,), np.float32)
    terms = terms_of(config, 0)
    space.terms = {name: terms[name] for name in _DONE}
    return space


def require_same_terms(who: str, trained: Terms, there: Terms) -> None:
    """Raise `SchemaError` where a policy was trained on other terms than it is to be used on."""
    if dict(trained) != dict(there):
        raise SchemaError(
            f"{who} was trained on {_listed(trained)}; here are {_listed(there)}. Use it where they are the "
            "same, or train another."
        )


def require_same_spaces(policy: Any, observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> None:
    """The same for a policy that has spaces, as agents of Stable-Baselines3 have."""
    for kind, space in (("observation", observation_space), ("action", action_space)):
        own = getattr(policy, f"{kind}_space", None)
        if isinstance(own, gym.Space) and own != space:
            raise SchemaError(
                f"The policy was trained on the {kind} space {_named(own)}; this market has {space}. "
                "Judge it on a market with the same window, table, levels and max_leverage."
            )
    normalizer = getattr(policy, "get_vec_normalize_env", lambda: None)()
    if normalizer is not None and normalizer.norm_obs:
        raise SchemaError(
            "The policy was trained on observations that VecNormalize had changed; give an object whose "
            "predict calls normalize_obs first."
        )


def require_finite_weights(policy: Any) -> None:
    """Raise `DivergedError` for an agent of Stable-Baselines3 whose weights are not all finite.

    Its networks answer NaN, and the first action is the likeliest of those.
    """
    network = getattr(policy, "policy", policy)
    weights = network.state_dict() if hasattr(network, "state_dict") else {}
    for name, value in weights.items():
        if not np.isfinite(value.detach().cpu().numpy()).all():
            raise DivergedError(f"The policy's weights '{name}' are not finite; train it again.")


def _named(space: gym.Space[Any]) -> str:
    if isinstance(space, _MeaningfulSpace) or not isinstance(space, gym.spaces.Box):
        return str(space)
    return f"Box{space.shape} from {space.low.min():g} to {space.high.max():g}"


def _listed(terms: Terms) -> str:
    return ", ".join(f"{name} {value}" for name, value in terms.items())
