"""What is expected of an answer: the form of its file, the relation that it states, and the words for mismatches."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.errors import RecipeError, UsageError
from lamina.prove.events import event, expectation, expectation_path, mismatches
from lamina.runtimes import quotas

WHERE = "predict.expect.json"


def found(expected: object, answer: object, *, failed: bool = False) -> list[str]:
    return mismatches(expectation(json.dumps(expected).encode(), WHERE), json.dumps(answer).encode(), failed=failed)


def proxy(body: object, status: int = 200) -> dict[str, object]:
    return {"statusCode": status, "headers": {}, "body": json.dumps(body)}


def test_the_expectation_stands_beside_its_event() -> None:
    assert expectation_path(Path("layers/x/events/predict.json")) == Path("layers/x/events/predict.expect.json")


@pytest.mark.parametrize(
    ("expected", "answer"),
    [
        ({}, {"anything": 1}),
        ({"status": 200}, proxy({})),
        ({"status": {"$between": [200, 299]}}, proxy({}, 204)),
        ({"status": 200, "body": {"probability": {"$between": [0, 1]}}}, proxy({"probability": 1, "model": "x"})),
        ({"body": {"text": "is an object"}}, {"statusCode": 200, "body": {"text": "is an object"}}),
        ({"body": [1, 2.0]}, proxy([1.0, 2])),
        ({"answer": {"batchItemFailures": []}}, {"batchItemFailures": []}),
        ({"answer": None}, None),
        ({"answer": [{"a": {"$type": "array"}}, {"$contains": "lo"}]}, [{"a": [], "b": 1}, "hello"]),
        ({"answer": {"$type": "null"}}, None),
    ],
)
def test_answers_that_are_as_expected(expected: object, answer: object) -> None:
    assert found(expected, answer) == []


@pytest.mark.parametrize(
    ("expected", "answer", "told"),
    [
        ({"status": 200}, proxy({}, 400), ["answer.statusCode: 400 is not 200"]),
        ({"status": 200}, {"body": ""}, ["answer.statusCode is missing; expected 200"]),
        ({"status": 200}, [1], ["answer: [1] is no object with statusCode and body"]),
        (
            {"body": {"probability": {"$between": [0, 1]}}},
            proxy({"probability": 1.7}),
            ["answer.body.probability: 1.7 is not in [0, 1]"],
        ),
        (
            {"body": {"probability": {"$between": [0, 1]}}},
            proxy({"probability": True}),
            ["answer.body.probability: true is not in [0, 1]"],
        ),
        ({"body": {}}, {"body": "<html>"}, ['answer.body: "<html>" is not JSON']),
        ({"body": {}}, {"statusCode": 200}, ["answer.body is missing; expected {}"]),
        (
            {"status": 200, "body": {"a": 1, "b": 2}},
            proxy({"b": 3}, 500),
            ["answer.body.a is missing; expected 1", "answer.body.b: 3 is not 2", "answer.statusCode: 500 is not 200"],
        ),
        ({"answer": {"n": 1}}, {"n": True}, ["answer.n: true is not 1"]),
        ({"answer": {"n": 1}}, {"n": "1"}, ['answer.n: "1" is not 1']),
        ({"answer": []}, [1], ["answer: 1 item; expected 0"]),
        (
            {"answer": [1, {"x y": 2}]},
            [2, {"x y": 3}, 4],
            ["answer: 3 items; expected 2", "answer[0]: 2 is not 1", 'answer[1]."x y": 3 is not 2'],
        ),
        ({"answer": {"$contains": "x"}}, 1, ['answer: 1 does not contain "x"']),
        ({"answer": {"$type": "string"}}, 1, ["answer: 1 is not of type string"]),
        ({"answer": "x"}, "y" * 100, [f'answer: "{"y" * 56}... is not "x"']),
        (
            {"error": {"errorType": "ValueError"}},
            {"a": 1},
            ['answer: {"a": 1} where an error was expected: {"errorType": "ValueError"}'],
        ),
    ],
)
def test_mismatches_say_the_path_what_was_found_and_what_was_expected(
    expected: object, answer: object, told: list[str]
) -> None:
    assert sorted(found(expected, answer)) == sorted(told)


def test_errors_are_expected_by_what_they_hold() -> None:
    failure = {"errorType": "ValueError", "errorMessage": "no such page: 7", "stackTrace": []}
    assert found({"error": {"errorType": "ValueError"}}, failure, failed=True) == []
    assert found({"error": {"errorMessage": {"$contains": "page"}}}, failure, failed=True) == []
    assert found({"error": {"errorType": "KeyError"}}, failure, failed=True) == [
        'error.errorType: "ValueError" is not "KeyError"'
    ]
    assert found({"status": 200}, failure, failed=True) == [
        "answer: the function failed with ValueError: no such page: 7"
    ]


def test_without_an_expectation_an_answer_is_json_and_no_error() -> None:
    assert mismatches(None, b'{"statusCode": 500}', failed=False) == []
    assert mismatches(None, b'{"errorType": "X", "errorMessage": "m"}', failed=True) == [
        "answer: the function failed with X: m"
    ]
    assert mismatches(None, b'{"p": NaN}', failed=False) == [
        'answer: not JSON: JSON is malformed: invalid character (byte 6): "{\\"p\\": NaN}"'
    ]


def test_many_mismatches_are_cut_off() -> None:
    assert len(found({"answer": list(range(100))}, list(range(1, 101)))) == 20


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", f"{WHERE}: not JSON: Input data was truncated"),
        ("[]", f"{WHERE}: expected an object, found []"),
        ('{"stauts": 200}', f'{WHERE}: stauts: unknown key; did you mean "status"?'),
        ('{"status": "200"}', f'{WHERE}: status: expected a number from 100 to 599, found "200"'),
        ('{"status": true}', f"{WHERE}: status: expected a number from 100 to 599, found true"),
        (
            '{"error": {}, "status": 1}',
            (
                f"{WHERE}: status: error and status exclude each other\n"
                f"{WHERE}: status: expected a number from 100 to 599, found 1"
            ),
        ),
        ('{"error": "ValueError"}', f'{WHERE}: error: expected an object, found "ValueError"'),
        ('{"body": {"p": {"$betwen": [0, 1]}}}', f'{WHERE}: body.p.$betwen: unknown; did you mean "$between"?'),
        ('{"body": {"$type": "null", "x": 1}}', f"{WHERE}: body: $type stands alone in its object"),
        (
            '{"answer": [{"$between": [1, 0]}]}',
            f"{WHERE}: answer[0].$between: expected two numbers, the lower one first, found [1, 0]",
        ),
        ('{"answer": {"$contains": 1}}', f"{WHERE}: answer.$contains: expected a string, found 1"),
        (
            '{"answer": {"$type": "strng"}}',
            (
                f"{WHERE}: answer.$type: expected one of string, number, boolean, array, object, null, "
                'found "strng"; did you mean "string"?'
            ),
        ),
    ],
)
def test_mistakes_in_an_expectation_are_told(text: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        expectation(text.encode(), WHERE)
    assert caught.value.message == message


def test_an_event_is_json_within_lambdas_limit() -> None:
    assert event(b' {"a": 1}\n', "e.json") == b' {"a": 1}\n'
    with pytest.raises(UsageError, match=r"^e\.json: not JSON: JSON is malformed"):
        event(b"{'a': 1}", "e.json")
    with pytest.raises(
        UsageError, match=r"^e\.json: 6,291,457 bytes are more than Lambda takes as an event: 6,291,456$"
    ):
        event(b"1" * (quotas().event + 1), "e.json")
    with pytest.raises(UsageError, match=r"^-: not JSON: more than 200 objects and lists within each other$"):
        event(b"[" * 300 + b"]" * 300, "-")
    with pytest.raises(UsageError, match=r"^-: not JSON: too deep$"):
        event(b"[" * 100_000, "-")


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(min_size=1).filter(lambda key: key[0] != "$"), inner, max_size=4)
    ),
    max_leaves=12,
)


def _less(draw: st.DrawFn, value: object) -> object:
    """Something that ``value`` holds: keys left out of objects, at any depth."""
    if isinstance(value, dict):
        return {key: _less(draw, one) for key, one in value.items() if draw(st.booleans())}
    return [_less(draw, one) for one in value] if isinstance(value, list) else value


less = st.composite(_less)


@given(_json)
def test_everything_holds_itself(value: object) -> None:
    assert found({"answer": value}, value) == []


@given(st.data(), _json)
def test_holding_is_transitive_and_keys_may_be_left_out(data: st.DataObject, value: object) -> None:
    middle = data.draw(less(value))
    least = data.draw(less(middle))
    assert found({"answer": middle}, value) == []
    assert found({"answer": least}, middle) == []
    assert found({"answer": least}, value) == []


@given(_json, _json)
def test_two_that_hold_each_other_are_equal(one: object, other: object) -> None:
    both = found({"answer": one}, other) == [] == found({"answer": other}, one)
    assert both == (_exact(one) == _exact(other))


def _exact(value: object) -> object:
    """A form in which equal means equal in JSON: true is not 1."""
    if isinstance(value, dict):
        return {key: _exact(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_exact(one) for one in value]
    return (isinstance(value, bool), value)


@given(st.binary(max_size=200), st.booleans())
def test_no_answer_breaks_the_comparison(payload: bytes, failed: bool) -> None:  # noqa: FBT001
    for expected in ({}, {"status": 200, "body": {"a": {"$type": "array"}}}):
        mismatches(expectation(json.dumps(expected).encode(), WHERE), payload, failed=failed)
