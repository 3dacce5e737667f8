"""Dynamic fields bring a schedule's memory into its requests, and nothing else."""

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from booper.model.dynamic import (
    MAX_DEPTH,
    STATE_LIMIT_BYTES,
    SUBSTITUTED_LIMIT_BYTES,
    Context,
    RenderError,
    StateRejected,
    StateTooLarge,
    is_text_too_deep,
    is_too_deep,
    merge_state,
    render,
    render_headers,
    render_query,
    take_previous,
    take_set,
    with_metadata,
)

FIRST_RUN = Context(job={"id": 73496}, previous={}, state={})
LATER_RUN = Context(
    job={"id": 73497, "tags": ["news"]},
    previous={
        "sent": [37_300_001, 37_300_002],
        "items": [{"id": "a"}, {"id": "b"}],
        "count": 3,
        "share": 0.5,
        "done": False,
        "next": None,
        "text": "Zoë",
        "deep": {"er": {"est": {"x": 1}}},
        "0": "zero",
        "": {"": "empty"},
        "first name": "Jane",
        "two\nlines": "poem",
        "items.count": 2,
    },
    state={"last_sent_release": "v1.4.0", "sent": [1, 2, 3]},
)


def nested(levels: int) -> Any:
    """Return `levels` lists within each other."""
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


# --- The published examples, contract §11


@pytest.mark.parametrize(
    ("body", "first", "later"),
    [
        (
            {"min": 200, "exclude": "$previous.sent"},
            {"min": 200, "exclude": None},
            {"min": 200, "exclude": [37_300_001, 37_300_002]},
        ),
        (
            {"min": 200, "exclude": "$state.sent"},
            {"min": 200, "exclude": None},
            {"min": 200, "exclude": [1, 2, 3]},
        ),
        (
            {"last_sent_release": "$state.last_sent_release"},
            {"last_sent_release": None},
            {"last_sent_release": "v1.4.0"},
        ),
    ],
)
def test_the_published_examples_get_null_first_and_their_memory_later(
    body: Any, first: Any, later: Any
) -> None:
    """On the first run there is nothing yet (handlers write `|| []`); later an array is one."""
    assert render(body, FIRST_RUN) == first
    assert render(body, LATER_RUN) == later


def test_the_announcement_reads_back_what_its_target_set() -> None:
    """The `$set` of one run is the `$state` of the next, beside the rest of the response."""
    response = {"email": {"to": "all"}, "$set": {"last_sent_release": "v1.5.0"}}
    changes = take_set(response)
    assert changes == {"last_sent_release": "v1.5.0"}
    state = merge_state({"last_sent_release": "v1.4.0", "kept": True}, changes)
    next_run = Context(job={"id": 2}, previous=take_previous(response), state=state)
    assert render("$state", next_run) == {"last_sent_release": "v1.5.0", "kept": True}
    assert render("$previous.email.to", next_run) == "all"


# --- References


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The JSON type is kept.
        ("$previous.count", 3),
        ("$previous.share", 0.5),
        ("$previous.done", False),
        ("$previous.next", None),
        ("$previous.text", "Zoë"),
        ("$previous.sent", [37_300_001, 37_300_002]),
        ("$previous.deep.er", {"est": {"x": 1}}),
        # The whole value.
        ("$job", {"id": 73497, "tags": ["news"]}),
        ("$state", {"last_sent_release": "v1.4.0", "sent": [1, 2, 3]}),
        # Paths, through arrays as well; keys may be any text without a dot.
        ("$job.id", 73497),
        ("$job.tags.0", "news"),
        ("$previous.items.0.id", "a"),
        ("$previous.items.1.id", "b"),
        ("$previous.0", "zero"),
        ("$previous.first name", "Jane"),
        ("$previous.two\nlines", "poem"),
        ("$previous..", "empty"),
    ],
)
def test_a_reference_gives_the_value_with_its_json_type(text: str, expected: Any) -> None:
    """A string that is exactly a reference is replaced by what it names."""
    found = render(text, LATER_RUN)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    "text",
    [
        "$previous.missing",
        "$previous.missing.further",
        "$state.last_sent_release.x",  # through a string
        "$previous.text.0",  # a string is no array
        "$previous.count.0",  # through a number
        "$previous.next.x",  # through a null
        "$previous.sent.2",  # out of range
        "$previous.sent.-1",
        "$previous.sent.00",
        "$previous.sent.+1",
        "$previous.sent.1_0",
        "$previous.sent.\u0660",  # a digit zero, but not the ASCII one
        "$previous.sent.length",
        "$previous.sent." + "9" * 5_000,  # more digits than int() reads
        "$previous.items.count",  # a key that holds a dot cannot be reached
        "$job.keys",  # JSON members only, not attributes
    ],
)
def test_a_path_that_leads_nowhere_gives_null(text: str) -> None:
    """A missing member, an index out of range and a way through a scalar are all null."""
    assert render(text, LATER_RUN) is None


def test_a_response_that_is_an_array_or_a_scalar_can_be_referred_to() -> None:
    """`$previous` is any JSON, not only an object."""
    assert render("$previous.1", Context({}, [10, 20], {})) == 20
    assert render("$previous", Context({}, "ok", {})) == "ok"
    assert render("$previous.x", Context({}, None, {})) is None


@pytest.mark.parametrize(
    "text",
    [
        "$",
        "$5",
        "$set",
        "$previousx",
        "$previous ",
        " $previous",
        "$previous.",
        "$state[0]",
        "$Job.id",
        "$jobs",
        "${job}",
        "see $job.id",
        "previous.sent",
        "",
    ],
)
def test_other_strings_stay_as_they_are(text: str) -> None:
    """Only an exact reference is replaced; prices, templates and prose are the user's own."""
    assert render(text, LATER_RUN) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$$", "$"),
        ("$$5", "$5"),
        ("$$state.sent", "$state.sent"),
        ("$$$job", "$$job"),
        ("$$$$", "$$$"),
        ("a$$b", "a$$b"),
    ],
)
def test_two_dollars_at_the_start_stand_for_one(text: str, expected: str) -> None:
    """An escaped string loses one `$` and is not looked up."""
    assert render(text, LATER_RUN) == expected


def test_references_are_found_at_any_depth_but_not_in_keys() -> None:
    """Values within objects and arrays are replaced; an object's keys never are."""
    body = {"$job": [{"a": ["$job.id", ["$$x"]]}, 7, None, True], "$state.sent": "$previous.done"}
    assert render(body, LATER_RUN) == {
        "$job": [{"a": [73497, ["$x"]]}, 7, None, True],
        "$state.sent": False,
    }


def test_a_targets_response_is_never_rendered() -> None:
    """A target cannot read the state by answering with a reference to it."""
    context = Context({"id": 1}, {"a": "$state.secret", "b": ["$$x"]}, {"secret": "s3cret"})
    assert render(["$previous", "$previous.a"], context) == [
        {"a": "$state.secret", "b": ["$$x"]},
        "$state.secret",
    ]
    assert render_headers({"X-A": "$previous.a"}, context) == {"X-A": "$state.secret"}
    assert render_query({"b": "$previous.b"}, context) == {"b": ["$$x"]}


def test_a_deeply_nested_body_is_rendered() -> None:
    """Depth costs no recursion: 100,000 levels are far past what Python's stack would allow."""
    body: Any = "$job.id"
    for _ in range(100_000):
        body = [body]
    rendered = render(body, LATER_RUN)
    for _ in range(100_000):
        rendered = rendered[0]
    assert rendered == 73497


def test_references_cannot_multiply_a_response_without_bound() -> None:
    """A small body repeating a large response fails the attempt instead of filling the memory."""
    # With its two quotes the response is a quarter of the limit: four fit, and then not a byte.
    context = Context({}, "x" * (SUBSTITUTED_LIMIT_BYTES // 4 - 2), {"n": 7})
    assert render(["$previous"] * 4, context) == [context.previous] * 4
    with pytest.raises(RenderError, match="at most 1048576 bytes"):
        render(["$previous"] * 4 + ["$state.n"], context)


def test_a_large_body_without_references_is_not_limited() -> None:
    """Only what references bring in counts, not what the user wrote."""
    body = ["$" + "5" * SUBSTITUTED_LIMIT_BYTES]
    assert render(body, LATER_RUN) == body


# --- Headers and query


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("Bearer abc", "Bearer abc"),
        ("$state.last_sent_release", "v1.4.0"),
        ("$job.id", "73497"),
        ("$previous.share", "0.5"),
        ("$previous.done", "false"),
        ("$$job.id", "$job.id"),
        ("$previous.sent", "[37300001,37300002]"),
        ("$previous.deep", '{"er":{"est":{"x":1}}}'),
        ("$previous.text", "Zoë"),
        ("a\tb", "a\tb"),
        (3, "3"),
        (True, "true"),
        ("", ""),
    ],
)
def test_a_header_is_sent_as_text(value: Any, sent: str) -> None:
    """Strings go out as they are, everything else as JSON text."""
    assert render_headers({"X-Value": value}, LATER_RUN) == {"X-Value": sent}


@pytest.mark.parametrize("value", ["$state.missing", "$previous.next", None])
def test_a_header_without_a_value_is_not_sent(value: Any) -> None:
    """A null drops the header and leaves the others."""
    assert render_headers({"X-Value": value, "X-Other": "y"}, LATER_RUN) == {"X-Other": "y"}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a\r\nX-Admin: 1", r"U\+000D at position 1"),
        ("a\nb", r"U\+000A at position 1"),
        ("\x00", r"U\+0000 at position 0"),
        ("ab\x1b[0m", r"U\+001B at position 2"),
        ("\x7f", r"U\+007F at position 0"),
    ],
)
def test_a_header_with_control_characters_fails_the_attempt(text: str, named: str) -> None:
    """A target's response cannot add header lines; the error names the header but not its value."""
    context = Context({}, {"cursor": text + "private"}, {})
    with pytest.raises(RenderError, match=f"'X-Cursor' .*{named}") as caught:
        render_headers({"X-Cursor": "$previous.cursor"}, context)
    assert "private" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("plain", "plain"),
        ("$state.last_sent_release", "v1.4.0"),
        ("$job.id", "73497"),
        ("$previous.done", "false"),
        ("$previous.sent", ["37300001", "37300002"]),
        ("$previous.items", ['{"id":"a"}', '{"id":"b"}']),
        ("$previous.deep.er.est", '{"x":1}'),
        (["a", None, True, "$job.id", ["b"]], ["a", "true", "73497", '["b"]']),
        ("a\r\nb", "a\r\nb"),  # URL encoding makes it harmless
    ],
)
def test_a_query_parameter_is_sent_as_text(value: Any, sent: Any) -> None:
    """An array repeats the parameter; objects, numbers and booleans go out as JSON text."""
    assert render_query({"q": value}, LATER_RUN) == {"q": sent}


@pytest.mark.parametrize("value", ["$state.missing", "$previous.next", None, [], [None]])
def test_a_query_parameter_without_a_value_is_not_sent(value: Any) -> None:
    """A null or an array without values drops the parameter and leaves the others."""
    assert render_query({"q": value, "other": "y"}, LATER_RUN) == {"other": "y"}


# --- Metadata


@pytest.mark.parametrize("body", [None, {}])
def test_an_absent_body_becomes_the_metadata(body: Any) -> None:
    """A run of a schedule without a body of its own sends the three keys."""
    assert with_metadata(body, FIRST_RUN) == {"$job": {"id": 73496}, "$previous": {}, "$state": {}}


def test_metadata_is_added_to_an_object_and_wins() -> None:
    """The user's keys stay, except those with the metadata's names."""
    body = {"min": 200, "$state": "mine"}
    assert with_metadata(body, FIRST_RUN) == {
        "min": 200,
        "$job": {"id": 73496},
        "$previous": {},
        "$state": {},
    }
    assert body == {"min": 200, "$state": "mine"}


@pytest.mark.parametrize("body", [[], [1], "text", "", 0, False])
def test_a_body_that_is_no_object_has_no_metadata(body: Any) -> None:
    """There is no place for keys, so the body goes out unchanged."""
    assert with_metadata(body, FIRST_RUN) is body


# --- State


@pytest.mark.parametrize(
    ("response", "changes"),
    [
        ({"$set": {"a": 1}, "b": 2}, {"a": 1}),
        ({"$set": {}}, {}),
        ({}, None),
        ({"$set": None}, None),
        ({"$set": [1]}, None),
        ({"$set": "x"}, None),
        ({"data": {"$set": {"a": 1}}}, None),
        ([{"$set": {"a": 1}}], None),
        ("$set", None),
        (None, None),
    ],
)
def test_only_a_top_level_set_object_changes_the_state(response: Any, changes: Any) -> None:
    """A `$set` elsewhere, or one that is no object, is data like any other."""
    assert take_set(response) == changes


@pytest.mark.parametrize(
    ("state", "changes", "merged"),
    [
        ({}, {"a": 1}, {"a": 1}),
        ({"a": 1, "b": 2}, {"b": 3}, {"a": 1, "b": 3}),
        ({"a": {"x": 1}}, {"a": {"y": 2}}, {"a": {"y": 2}}),
        ({"a": 1}, {"a": None}, {"a": None}),
        ({"a": 1}, {}, {"a": 1}),
    ],
)
def test_the_state_is_merged_shallowly(state: Any, changes: Any, merged: Any) -> None:
    """A key's value is replaced as a whole; keys that are not named stay; nothing is mutated."""
    before = copy.deepcopy((state, changes))
    assert merge_state(state, changes) == merged
    assert (state, changes) == before


def test_the_state_may_have_64_kib() -> None:
    """Exactly 65,536 bytes of JSON are kept; one more is refused, with the size."""
    # {"a":"…"} is 8 bytes around the text.
    merge_state({}, {"a": "x" * (65_536 - 8)})
    with pytest.raises(StateTooLarge, match="at most 65536 bytes of JSON, got 65537") as caught:
        merge_state({}, {"a": "x" * (65_537 - 8)})
    assert (caught.value.size_bytes, caught.value.limit_bytes) == (65_537, STATE_LIMIT_BYTES)


def test_the_state_is_measured_in_bytes_after_the_merge() -> None:
    """What was there before counts, and so do the bytes of UTF-8 rather than characters."""
    # {"a":"","b":""} is 15 bytes, and "é" is two more.
    assert merge_state({"a": "é"}, {"b": ""}, limit_bytes=17) == {"a": "é", "b": ""}
    with pytest.raises(StateTooLarge, match="got 17"):
        merge_state({"a": "é"}, {"b": ""}, limit_bytes=16)


def test_a_state_nested_too_deep_is_refused() -> None:
    """It could be stored but not sent, and then no later run could replace it."""
    # The state object is one level itself.
    merge_state({}, {"a": nested(MAX_DEPTH - 1)})
    with pytest.raises(StateRejected, match="at most 200 levels"):
        merge_state({}, {"a": nested(MAX_DEPTH)})
    with pytest.raises(StateRejected, match="at most 200 levels"):
        merge_state({}, {"a": nested(100_000)})


def test_a_response_nested_too_deep_is_not_remembered() -> None:
    """`$previous` is then `{}`, as after a response that is no JSON."""
    kept = nested(MAX_DEPTH)
    assert take_previous(kept) is kept
    assert take_previous(nested(MAX_DEPTH + 1)) == {}


@pytest.mark.parametrize("value", [None, 1, "x", {}, {"a": [{}]}])
def test_ordinary_values_are_not_too_deep(value: Any) -> None:
    """Scalars and shallow values pass and are remembered as they are."""
    assert not is_too_deep(value)
    assert take_previous(value) == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, False),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), True),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), True),
        (b'"' + b"[{" * MAX_DEPTH + b'"', False),
        (b"[" + b",".join([b"{}"] * 2 * MAX_DEPTH) + b"]", False),
        (b"1", False),
    ],
    ids=["deepest", "one more", "objects", "brackets in a string", "wide", "a number"],
)
def test_the_depth_of_text_is_that_of_its_value(text: bytes, expected: bool) -> None:
    """Brackets within strings and beside each other do not make a text deep."""
    assert is_text_too_deep(text) is expected


def test_an_echoing_target_never_makes_a_request_that_cannot_be_encoded() -> None:
    """A schedule that posts to an echo nests one level deeper on every run, and starts over."""
    previous: Any = {}
    restarts = 0
    for run in range(3 * MAX_DEPTH):
        body = with_metadata(None, Context({"id": run}, previous, {}))
        previous = take_previous(msgspec.json.decode(msgspec.json.encode(body)))
        restarts += previous == {}
    # `{}` has one level and each run adds one, so the 200th run would give 201 and gives {}.
    # That happens three times in 600 runs.
    assert restarts == 3


# --- Properties

TEXT = st.text(alphabet='$.job"\\\n\0é😀', max_size=6)
NUMBERS = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXT
REFERENCES = st.sampled_from(
    ["$job", "$previous", "$state", "$job.id", "$previous.a.0", "$state.x.y", "$$job", "$set", "$"]
)


def json_values(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return JSON values whose leaves come from `leaves`."""
    keys = TEXT | st.sampled_from(["a", "x", "id", "$job"])
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=8,
    )


ANY_JSON = json_values(SCALARS | REFERENCES)
OBJECTS = st.dictionaries(st.sampled_from(["a", "x", "id"]), ANY_JSON, max_size=3)
CONTEXTS = st.builds(Context, job=OBJECTS, previous=ANY_JSON, state=OBJECTS)
WITHOUT_DOLLARS = json_values(SCALARS.filter(lambda v: not str(v).startswith("$")))


@settings(max_examples=60)
@given(WITHOUT_DOLLARS, CONTEXTS)
def test_a_value_without_dollars_is_left_as_it_is(value: Any, context: Context) -> None:
    """A body that uses no dynamic field is sent exactly as configured."""
    assert msgspec.json.encode(render(value, context)) == msgspec.json.encode(value)


@settings(max_examples=60)
@given(TEXT, CONTEXTS)
def test_any_text_can_be_sent_by_escaping_it(text: str, context: Context) -> None:
    """Whatever a string means, with a `$` before its first `$` it means itself."""
    assert render("$$" + text, context) == "$" + text


@settings(max_examples=60)
@given(ANY_JSON, ANY_JSON)
def test_what_a_target_answered_arrives_unchanged(response: Any, other: Any) -> None:
    """A reference to the whole response gives the same JSON, whatever strings it holds."""
    context = Context({}, response, {"x": other})
    sent = msgspec.json.encode(render({"p": "$previous", "q": ["$state.x"]}, context))
    assert sent == msgspec.json.encode({"p": response, "q": [other]})


@settings(max_examples=60)
@given(ANY_JSON, CONTEXTS)
def test_rendering_gives_json_and_changes_nothing_it_was_given(
    value: Any, context: Context
) -> None:
    """The configured body and the context are as before, so the next run starts from the same."""
    before = copy.deepcopy((value, context))
    body = with_metadata(render(value, context), context)
    msgspec.json.encode(body)
    assert (value, context) == before


@settings(max_examples=60)
@given(OBJECTS, OBJECTS)
def test_a_merged_state_has_the_changes_over_the_old_keys(
    state: dict[str, Any], changes: dict[str, Any]
) -> None:
    """Each key holds the changed value if there is one and the old value otherwise."""
    merged = merge_state(state, changes)
    assert merged.keys() == state.keys() | changes.keys()
    assert all(merged[key] == changes.get(key, state.get(key)) for key in merged)


@pytest.mark.parametrize("text", ["$state.a", "$job.id", "$$", "$previous"])
def test_a_value_has_a_bounded_number_of_references(text: str) -> None:
    """Ten thousand are replaced, one more is refused; other strings are not counted."""
    context = Context({"id": 1}, {}, {"a": 2})
    others = ["$", "$a", "a$state", "$jo", ""] * 10_000
    rendered = render([*others, *[text] * 10_000], context)
    assert rendered[: len(others)] == others
    assert text not in rendered[len(others) :]
    with pytest.raises(RenderError, match="at most 10000 dynamic fields"):
        render([text] * 10_001, context)
