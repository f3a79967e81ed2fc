"""The made-up table: its ground truth is in the data, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestRegressor

import tacit
from tacit.modalities import open_source, table
from tacit.modalities.table.synthetic import hidden_factors


def features_of(made, relevant: bool) -> np.ndarray:
    source = open_source(made.table, "table")
    spec, x = table.spec_of(source), source.batch(torch.arange(len(source)))["x"]
    wanted = torch.tensor([(c.name in made.relevant) == relevant for c in spec.schema.columns])
    return x[:, wanted[spec.layout.column_of]].numpy()


def test_factors_can_be_read_from_the_relevant_columns_alone() -> None:
    made = hidden_factors(3000, 1)
    for relevant, least, most in ((True, 0.6, 1.0), (False, -0.2, 0.05)):
        x = features_of(made, relevant)
        forest = RandomForestRegressor(30, min_samples_leaf=3, random_state=0).fit(x[:2000], made.factors[:2000])
        assert least < forest.score(x[2000:], made.factors[2000:]) < most


def test_no_single_number_tells_a_factor_by_a_line() -> None:
    made = hidden_factors(4000, 2, missing=0.0)
    for name in made.table.column_names:
        if name.startswith("number"):
            values = made.table[name].to_numpy()
            for factor in made.factors.T:
                assert abs(np.corrcoef(values, factor)[0, 1]) < 0.7


def test_labels_are_a_function_of_the_factors_and_columns_of_the_world() -> None:
    one, other = hidden_factors(500, 3), hidden_factors(500, 4)
    assert one.table.schema == other.table.schema
    assert not np.array_equal(one.factors, other.factors)
    near = np.linalg.norm(one.factors[:, None] - other.factors[None], axis=2)
    close = near < 0.08
    agree = one.labels[:, None] == other.labels[None]
    assert agree[close].mean() > 0.85
    assert len(np.unique(one.labels)) == 6
    again = hidden_factors(500, 3)
    assert again.table.equals(one.table)


def test_every_sort_of_column_is_there_with_gaps() -> None:
    made = hidden_factors(2000, 5, missing=0.1)
    sorts = {column.sort for column in open_source(made.table, "table").store.schema.columns}
    assert sorts == {"number", "category", "date"}
    shares = np.array([column.null_count / 2000 for column in made.table.columns])
    assert set(np.round(shares, 1)) == {0.0, 0.1}
    assert not hidden_factors(50, 5, missing=0.0).table["date"].null_count


def test_impossible_sizes_are_refused() -> None:
    for options in ({"factors": 1}, {"classes": 1}, {"missing": 1.0}, {"noise": -1.0}, {"numbers": -1}):
        with pytest.raises(tacit.TacitError):
            hidden_factors(10, **options)
