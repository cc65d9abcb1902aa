"""Traces and profiles as HTML: bars by per cent, all of it in words as well, nothing unescaped."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from buildflow_nb.cockpit.views.profile import ProfileShown, profile_html
from buildflow_nb.cockpit.views.trace import Traces, TraceShown, numbered, trace_html, traces_html
from buildflow_nb.core.status.profile import Profile
from buildflow_nb.core.status.traces import Part, Span, Trace, TraceLine, TraceStep

AT = 1_700_000_000.0
EVIL = '<script>alert("x")</script>'


def span(part, at, took_s, name="price", **words):
    number = f"{int(at * 1e6) + len(part.value):016x}"
    return Span(number, "0" * 15 + "1", "price", part, name, AT + at, took_s, **words)


def traced(error="", evil=""):
    line = TraceLine(AT + 0.045, "WARNING", f"rate is old {evil}")
    parts = (
        span(Part.WAIT, 0.0, 0.041, f"in SQSQueue orders{evil}"),
        span(Part.DECODE, 0.041, 0.0001),
        span(Part.CODE, 0.0411, 0.006, lines=(line,)),
        span(Part.ENCODE, 0.0471, 0.0002),
        span(Part.SINK, 0.0473, 0.0184, f"GCPPubSubTopic priced{evil}", error=error),
    )
    whole = replace(span(Part.PROCESSOR, 0.0, 0.0657), fate="written", error=error)
    step = TraceStep(whole, parts, {"id": 1, "evil": evil}, () if error else ({"total": 3.79},))
    return Trace("4bf92f3577b34da6a3ce929d0e0e4736", (step,))


def test_a_trace_says_where_the_time_went():
    html = trace_html(traced())
    said = "waited 41.0 ms, decode 100 µs, code 6.0 ms, encode 200 µs, sink 18.4 ms"
    assert f"took 65.7 ms: {said}" in html
    label = re.search(r'aria-label="([^"]*)"', html).group(1)
    for word in ("waits in SQSQueue orders 41.0 ms", "your code 6.0 ms", "push 18.4 ms"):
        assert word in label
    for kind in ("k-idle", "k-code", "k-io"):
        assert kind in html
    assert "rate is old" in html
    assert "&#x27;total&#x27;: 3.79" in html


def test_bars_lie_within_their_track():
    for a, w in re.findall(r'style="--a:([\d.]+);--w:([\d.]+)"', trace_html(traced())):
        assert 0 <= float(a) <= 100
        assert float(a) + float(w) <= 100.01


def test_nothing_is_unescaped():
    evil = traced(error=EVIL, evil=EVIL)
    html = trace_html(evil, f"p{EVIL}", [evil]) + traces_html([evil], f"p{EVIL}")
    html += TraceShown(evil)._repr_html_() + Traces([evil], f"t{EVIL}")._repr_html_()
    assert "<script" not in html


def test_it_can_go_to_others_where_there_are_some():
    one, two = traced(), replace(traced(), trace_id="5" * 32)
    html = trace_html(one, "price", [one, two])
    assert f'data-act="trace" data-arg="price {"5" * 32}"' in html
    assert "aria-disabled" in html  # there is none before it, and none failed
    assert "data-act" not in trace_html(one)


def test_what_was_not_measured_is_shown_as_such():
    trace = traced()
    step = trace.steps[0]
    unknown = replace(step.parts[2], took_s=None, note="its chunk of 500 took 9.0 ms")
    parts = (*step.parts[:2], unknown, *step.parts[3:])
    html = trace_html(replace(trace, steps=(replace(step, parts=parts),)))
    assert "k-unk" in html
    assert "its chunk of 500 took 9.0 ms" in html
    assert "not measured: code" in html


def test_a_small_word_is_the_number_of_a_failure():
    assert numbered("3") == 3
    assert numbered("123456") == "123456"
    assert numbered("4bf92f") == "4bf92f"


def profile(**words):
    known = {"wait_s": 0.075, "code_s": 0.005, "sink_s": 0.0195, "decode_s": 0.0003}
    return Profile("price", "consumer", "orders", "priced", 60.0, 7_200, **{**known, **words})


@pytest.mark.parametrize("wait_s", [0.0, 1e-9, 0.0333, 10.0])
def test_shares_sum_to_a_hundred(wait_s):
    assert sum(profile(wait_s=wait_s).shares.values()) == 100


def test_a_profile_says_why():
    made = profile(busy=0.97, workers=2, pushes=180, pushed=7_200, pushing_s=3.24, p50_s=0.099)
    assert "2 workers busy 97 %" in made.said
    assert "num_concurrency" in made.said
    assert "18.0 ms a push of 40" in made.said
    html = profile_html(made)
    assert 'aria-label="wait 75, decode 0, code 5, encode 0, sink 20 per cent' in html
    assert "75 %" in ProfileShown(made, AT)._repr_html_()


def test_without_elements_there_is_nothing_to_tell():
    empty = profile()
    empty = replace(empty, elements=0)
    assert "nothing came to price" in profile_html(empty)
    assert set(empty.shares.values()) == {0}
