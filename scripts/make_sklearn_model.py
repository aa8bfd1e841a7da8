"""Make layers/sklearn/events/model.pkl, the model that the sklearn function is proven with.

Run it with the layer's own versions, since a pickle is of the version that wrote it:

    uv run --no-project --python 3.11 --with scikit-learn==1.3.2 --with numpy==1.26.4 --with scipy==1.16.3 \
        python scripts/make_sklearn_model.py

The data are made up and so is what they say; the same run gives the same bytes. Protocol 4 is read by every target.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression

VERSION = "1.3.2"
COLUMNS = ["income", "debt_ratio", "late_payments", "months_employed"]
TARGET = Path(__file__).parents[1] / "layers" / "sklearn" / "events" / "model.pkl"


def main() -> None:
    """Fit the model on numbers without names behind them, name its columns, and write it."""
    if sklearn.__version__ != VERSION:
        raise SystemExit(f"scikit-learn {sklearn.__version__} is here; the layer has {VERSION}")
    steps = np.arange(240)
    # Spread evenly over each range by steps without a common divisor: data without a random generator.
    shares = np.stack([(steps * step % 241) / 240 for step in (1, 89, 144, 55)], axis=1)
    low, high = np.array([1000, 0, 0, 0]), np.array([9000, 1, 8, 240])
    features = low + shares * (high - low)
    risk = 1.2 * shares[:, 1] + 1.5 * shares[:, 2] - shares[:, 0] - 0.5 * shares[:, 3]
    model = LogisticRegression(C=0.01, solver="newton-cholesky", max_iter=200)
    model.fit(features, (risk > np.median(risk)).astype(int))
    model.feature_names_in_ = np.array(COLUMNS, dtype=object)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_bytes(pickle.dumps({"model": model, "columns": COLUMNS}, protocol=4))
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
