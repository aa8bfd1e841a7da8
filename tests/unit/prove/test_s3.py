"""Names in [proof.s3]: bucket and key."""

from __future__ import annotations

import pytest

from lamina.errors import RecipeError
from lamina.prove.s3 import Place, place


def test_the_first_part_is_the_bucket() -> None:
    assert place("models/model.pkl") == Place("models", "model.pkl")
    assert place("my.models-1/churn/v 1/ä.pkl") == Place("my.models-1", "churn/v 1/ä.pkl")


@pytest.mark.parametrize("name", ["model.pkl", "models/", "models/" + "x" * 1025])
def test_a_name_without_a_key_is_refused(name: str) -> None:
    with pytest.raises(RecipeError) as caught:
        place(name)
    assert caught.value.message == f'proof.s3."{name}": expected a bucket and a key of at most 1024 bytes'


@pytest.mark.parametrize("bucket", ["", "Models", "ab", "-models", "models-", "a..b", "m_odels", "x" * 64])
def test_what_cannot_be_a_bucket_is_refused(bucket: str) -> None:
    with pytest.raises(RecipeError) as caught:
        place(f"{bucket}/model.pkl")
    assert caught.value.message == f'proof.s3."{bucket}/model.pkl": {bucket} cannot be the name of a bucket'
