"""The catalogue in pandas, as a quant would write it: the peer of `benchmarks.features`.

Columns that are sums, means, deviations or extremes of a window use `rolling`, averages `ewm`; what is
shared (returns, logarithms) is computed once, in numpy where that is faster.
"""

from __future__ import annotations

import numpy as np
import pandas as pd


def pandas_features(bars: pd.DataFrame) -> pd.DataFrame:
    """The columns of the default catalogue without larger bars and funding, float32."""
    o, h, low, c, v = (bars[name] for name in ("open", "high", "low", "close", "volume"))
    log_o, log_h, log_l, log_c, log_v = np.log(o), np.log(h), np.log(low), np.log(c), np.log1p(v)
    r = log_c.diff()
    r2, falls, size = r**2, r.clip(upper=0) ** 2, r.abs()
    variance = r2.ewm(alpha=0.05, adjust=False).mean()
    z = (r / np.sqrt(variance.shift())).clip(-3, 3).fillna(0.0)
    spread = log_h - log_l
    f: dict[str, pd.Series] = {}
    for n in (1, 2, 4, 8, 12, 24, 72, 168):
        f[f"return_{n}"] = log_c.diff(n)
    f["return_z"] = z
    for n in (5, 10, 32):
        f[f"return_z_ema_{n}"] = z.ewm(alpha=1 / n, adjust=False).mean()
    up, down = c.diff().clip(lower=0), -c.diff().clip(upper=0)
    for n in (14, 28):
        gain, loss = (x.ewm(alpha=1 / n, adjust=False).mean() for x in (up, down))
        f[f"rsi_{n}"] = gain / (gain + loss)
    macd = c.ewm(span=12, adjust=False).mean() - c.ewm(span=26, adjust=False).mean()
    f["macd_histogram_12_26_9"] = (macd - macd.ewm(span=9, adjust=False).mean()) / c
    for n in (24, 96):
        f[f"efficiency_{n}"] = log_c.diff(n) / size.rolling(n).sum()
    f["up_share_24"] = (r > 0).astype(float).rolling(24).mean()
    for a, b in ((12, 26), (24, 96)):
        fast, slow = log_c.ewm(span=a, adjust=False).mean(), log_c.ewm(span=b, adjust=False).mean()
        f[f"ema_gap_{a}_{b}"] = fast - slow
    for n in (24, 168):
        f[f"sma_gap_{n}"] = log_c - log_c.rolling(n).mean()
    time = pd.Series(np.arange(len(c), dtype=float))
    for n in (24, 96):
        rolling = log_c.rolling(n)
        f[f"slope_{n}"] = n * rolling.cov(time) / ((n + 1) * n / 12)
        f[f"trend_correlation_{n}"] = rolling.corr(time)
    rise, fall = h.diff(), -low.diff()
    plus = rise.where((rise > fall) & (rise > 0), 0.0).ewm(alpha=1 / 14, adjust=False).mean()
    minus = fall.where((fall > rise) & (fall > 0), 0.0).ewm(alpha=1 / 14, adjust=False).mean()
    f["adx_14"] = ((plus - minus).abs() / (plus + minus)).ewm(alpha=1 / 14, adjust=False).mean()
    for n in (24, 96, 168):
        top, bottom = h.rolling(n).max(), low.rolling(n).min()
        f[f"channel_{n}"] = (c - bottom) / (top - bottom)
    windows = np.lib.stride_tricks.sliding_window_view
    high_age = np.full(len(c), np.nan)
    low_age = np.full(len(c), np.nan)
    for start in range(0, len(c) - 48, 50_000):  # in pieces: all windows at once would take gigabytes
        stop = min(start + 50_000, len(c) - 48)
        high_age[start + 48 : stop + 48] = windows(h.to_numpy()[start : stop + 48], 49)[:, ::-1].argmax(
            axis=1
        )
        low_age[start + 48 : stop + 48] = windows(low.to_numpy()[start : stop + 48], 49)[:, ::-1].argmin(
            axis=1
        )
    f["aroon_48"] = pd.Series((low_age - high_age) / 48)
    f["below_high_168"] = log_c - log_h.rolling(168).max()
    f["above_low_168"] = log_c - log_l.rolling(168).min()
    for n in (24, 96):
        f[f"volatility_{n}"] = r.rolling(n).std()
    f["volatility_ratio_24_96"] = np.log(f["volatility_24"] / f["volatility_96"])
    f["ewma_volatility"] = np.sqrt(variance)
    f["parkinson_24"] = np.sqrt((spread**2).rolling(24).mean() / (4 * np.log(2)))
    body, night = log_c - log_o, log_o - log_c.shift()
    f["garman_klass_24"] = np.sqrt((0.5 * spread**2 - (2 * np.log(2) - 1) * body**2).rolling(24).mean())
    satchell = (log_h - log_c) * (log_h - log_o) + (log_l - log_c) * (log_l - log_o)
    f["rogers_satchell_24"] = np.sqrt(satchell.rolling(24).mean())
    k = 0.34 / (1.34 + 25 / 23)
    f["yang_zhang_24"] = np.sqrt(
        night.rolling(24).var() + k * body.rolling(24).var() + (1 - k) * satchell.rolling(24).mean()
    )
    true_range = np.maximum(h, c.shift()) - np.minimum(low, c.shift())
    f["atr_14"] = true_range.ewm(alpha=1 / 14, adjust=False).mean() / c
    log_spread = np.log(spread)
    f["range_surprise_50"] = (log_spread - log_spread.ewm(alpha=0.02, adjust=False).mean().shift()).clip(
        -4, 4
    )
    f["downside_share_48"] = falls.rolling(48).sum() / r2.rolling(48).sum()
    f["jump_share_96"] = 1 - np.pi / 2 * (size * size.shift()).rolling(96).sum() / r2.rolling(96).sum()
    log_volume = np.log(v)
    f["volume_surprise_50"] = (log_volume - log_volume.ewm(alpha=0.02, adjust=False).mean().shift()).clip(
        -4, 4
    )
    f["volume_z_48"] = ((log_v - log_v.rolling(48).mean()) / log_v.rolling(48).std()).clip(-5, 5)
    short, long = v.rolling(12).mean(), v.rolling(96).mean()
    f["volume_ratio_12_96"] = (short - long) / (short + long)
    typical = (h + low + c) / 3
    flow, move = typical * v, typical.diff()
    f["money_flow_14"] = (
        flow.where(move > 0, 0.0).rolling(14).sum() / flow.where(move != 0, 0.0).rolling(14).sum()
    )
    f["signed_volume_24"] = (np.sign(r) * v).rolling(24).sum() / v.rolling(24).sum()
    f["vwap_gap_24"] = c * v.rolling(24).sum() / flow.rolling(24).sum() - 1
    illiquidity = size / v
    short, long = illiquidity.rolling(24).mean(), illiquidity.rolling(168).mean()
    f["illiquidity_ratio_24_168"] = (short - long) / (short + long)
    f["return_volume_correlation_48"] = r.rolling(48).corr(log_v)
    f["body"] = (c - o) / (h - low)
    f["upper_shadow"] = (h - np.maximum(o, c)) / (h - low)
    f["lower_shadow"] = (np.minimum(o, c) - low) / (h - low)
    for n in (48, 168):
        f[f"skewness_{n}"] = r.rolling(n).skew()
        f[f"kurtosis_{n}"] = r.rolling(n).kurt()
    for n, lag in ((48, 1), (168, 1), (168, 24)):
        f[f"autocorrelation_{n}_{lag}"] = r.rolling(n - lag).corr(r.shift(lag))
    for n, q in ((96, 4), (168, 24)):
        f[f"variance_ratio_{n}_{q}"] = (log_c.diff(q) ** 2).rolling(n).sum() / (q * r2.rolling(n).sum())
    for d in (0.4, 0.7):
        weights = np.cumprod([1.0, *(-(d - i) / (i + 1) for i in range(63))])
        whole = np.convolve(log_c.to_numpy(), weights)[: len(c)]
        f[f"fractional_difference_{d}_64"] = pd.Series(whole) - weights.sum() * log_c.shift(64)
    seconds = bars["timestamp"].astype("int64") // 10**9
    for name, period in (("day", 86_400), ("week", 604_800)):
        angle = 2 * np.pi * (seconds % period) / period
        f[f"{name}_sin"], f[f"{name}_cos"] = np.sin(angle), np.cos(angle)
    return pd.DataFrame({name: column.astype(np.float32) for name, column in f.items()})
