"""The graph of a flow: what feeds what, and where it stands."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from buildflow_nb.cockpit.views.graph import graph_of
from buildflow_nb.cockpit.views.graph_drawing import Folds
from buildflow_nb.cockpit.views.graph_groups import group_of
from buildflow_nb.cockpit.views.graph_view import FOLDS_AT, graph_html
from buildflow_nb.flow import Flow
from buildflow_nb.io.aws import S3Bucket, S3FileChangeStream, SQSQueue
from buildflow_nb.io.duckdb import DuckDBTable
from buildflow_nb.io.local import Empty, File, Pulse
from tests.notebook.shots import PRICE, WORST, shot


@pytest.fixture
def flow(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Flow("shop")


def consumer(flow, name, source, sink, **options):
    def code(x): ...

    code.__name__ = name
    flow.consumer(source, sink, **options)(code)


def places(flow):
    graph = graph_of(flow.spec())
    return {node.title: (node.column, node.row) for node in graph.nodes.values()}


def test_a_processor_stands_between_its_source_and_its_sink(flow):
    consumer(flow, "price", Pulse([1], 1), DuckDBTable("shop.duckdb", "priced"))
    assert places(flow) == {
        "every 1 s": (0, 0),
        "price": (1, 0),
        "shop.duckdb / priced": (2, 0),
    }


def test_what_one_writes_and_another_reads_stands_once_between_them(flow):
    between = File("between.csv")
    consumer(flow, "second", between, Empty())
    consumer(flow, "first", Pulse([1], 1), between)
    found = places(flow)
    columns = [found[name][0] for name in ("every 1 s", "first", "between.csv", "second", "Empty")]
    assert columns == [0, 1, 2, 3, 4]


def test_what_is_shared_stands_once_and_nothing_covers_anything(flow):
    table = DuckDBTable("shop.duckdb", "priced")
    for name in ("a", "b", "c"):
        consumer(flow, name, Pulse([1], 1), table)
    found = places(flow)
    assert found["shop.duckdb / priced"] == (2, 0)
    assert len(set(found.values())) == len(found)


def test_a_cycle_is_drawn_and_ends(flow):
    there, back = SQSQueue("there"), SQSQueue("back")
    consumer(flow, "a", there, back)
    consumer(flow, "b", back, there)
    graph = graph_of(flow.spec())
    assert len(graph.lanes) == 1
    assert len(graph.nodes) == 4
    assert len(graph.edges) == 4
    assert len({(n.column, n.row) for n in graph.nodes.values()}) == 4


def test_a_long_chain_does_not_run_out_of_stack(flow):
    queues = [SQSQueue(f"q{i}") for i in range(1_500)]
    for i, (start, end) in enumerate(pairwise(queues)):
        consumer(flow, f"p{i}", start, end)
    (lane,) = graph_of(flow.spec()).lanes
    assert lane.columns == 2 * 1_499 + 1


def test_managed_resources_have_a_lane_of_their_own_and_say_whether_the_stack_has_them(flow):
    consumer(flow, "price", Pulse([1], 1), SQSQueue("priced"))
    flow.manage(SQSQueue("priced"), S3Bucket("mine"), S3Bucket("other"))
    graph = graph_of(flow.spec())
    lanes = [[node.title for node in lane.nodes if node.managed] for lane in graph.lanes]
    assert lanes == [["priced"], ["mine", "other"]]
    html = graph_html(
        graph,
        shot(replace(PRICE, elements_out=0)),
        lambda n: ("applied", "ok") if n.title == "priced" else ("no", "warn"),
    )
    assert html.count("SQS · applied") == 1
    assert html.count("S3 · no<") == 2


def test_resources_say_how_much_waits_in_them_and_how_much_was_written(flow):
    consumer(flow, "price", SQSQueue("orders"), SQSQueue("priced"))
    html = graph_html(graph_of(flow.spec()), shot(), lambda _: ("applied", "ok"))
    assert "SQS · 312 waiting" in html
    assert "SQS · 513k written" in html


def test_what_is_not_joined_stands_in_lanes_of_its_own_and_what_is_shared_joins_them(flow):
    consumer(flow, "a", SQSQueue("one"), Empty())
    consumer(flow, "b", SQSQueue("two"), File("out.jsonl"))
    assert [lane.processors for lane in graph_of(flow.spec()).lanes] == [["a"], ["b"]]
    consumer(flow, "c", SQSQueue("one"), File("out.jsonl"))
    assert [lane.processors for lane in graph_of(flow.spec()).lanes] == [["a", "b", "c"]]


def test_what_a_stream_brings_along_is_joined_to_it(flow):
    consumer(flow, "changes", S3FileChangeStream(S3Bucket("mine")), Empty())
    flow.manage(S3FileChangeStream(S3Bucket("mine")))
    graph = graph_of(flow.spec())
    feeders = {edge.start for edge in graph.edges if edge.end.startswith("S3FileChangeStream ")}
    assert {graph.nodes[key].title for key in feeders} == {"mine", "mine_queue"}


def test_routes_are_nodes_and_dead_letters_edges_of_their_own(flow):
    @flow.endpoint("/worst", method="GET")
    def worst(): ...

    consumer(flow, "price", Pulse([1], 1), Empty(), dead_letter=File("dead.jsonl"))
    graph = graph_of(flow.spec())
    assert graph.nodes["GET /worst"].kind == "route"
    assert [edge.side for edge in graph.edges if edge.processor == "price"] == [
        "in",
        "out",
        "failed",
    ]


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_the_picture_has_states_rates_and_totals_and_a_name(flow):
    consumer(flow, "price", Pulse([1], 1), Empty())

    @flow.endpoint("/worst", method="GET")
    def worst(): ...

    html = graph_html(graph_of(flow.spec()), shot(PRICE, WORST), lambda _: ("", ""), folds=Folds())
    for said in ("&lt;1 % fail · 9", "2,140/s", "512,906 in", "2,131/s", "▲", "◐", "v1"):
        assert said in html
    page = Tags()
    page.feed(html)
    assert page.found[0][1]["aria-label"] == (
        "graph of the flow: every 1 s to price; price to Empty; GET /worst to worst"
    )
    acts = {a["data-arg"] for _, a in page.found if a.get("data-act") == "select"}
    assert acts == {"price", "worst"}


def labels(html):
    page = Tags()
    page.feed(html)
    return [a for _, a in page.found if a.get("class", "").startswith("lab")]


def test_numbers_of_processors_that_share_a_source_stand_apart(flow):
    shared = Pulse([1], 1)
    names = [f"p{i}" for i in range(5)]
    for name in names:
        consumer(flow, name, shared, File(f"{name}.csv"))
    shots = [replace(PRICE, processor_id=name) for name in names]
    html = graph_html(graph_of(flow.spec()), shot(*shots), lambda _: ("", ""))
    places = [a["style"] for a in labels(html)]
    assert len(places) == 5 * 2
    assert len(set(places)) == len(places)


def test_an_edge_past_a_node_goes_below_it_and_so_does_one_that_leads_back(flow):
    there, back = SQSQueue("there"), SQSQueue("back")
    consumer(flow, "a", there, back)
    consumer(flow, "b", back, there)
    html = graph_html(graph_of(flow.spec()), shot(), lambda _: ("", ""))
    assert re.findall(r"L-?\d+ (\d+)C", html) == ["54"]


def test_from_ten_processors_on_they_are_grouped_by_name_with_a_mark_each(flow):
    for i in range(FOLDS_AT):
        consumer(flow, f"step_{i}", Pulse([1], i + 1), File(f"{i}.csv"))
    shots = [replace(PRICE, processor_id=f"step_{i}", failed=0) for i in range(FOLDS_AT)]
    shots[3] = replace(shots[3], failed=PRICE.elements_in)
    graph = graph_of(flow.spec())
    html = graph_html(graph, shot(*shots), lambda _: ("", ""), folds=Folds(query="step_3"))
    assert html.count("ggrid") == 1
    assert html.count("<i></i>") + html.count('<i class="f hit"') == FOLDS_AT
    assert "10 processors" in html
    assert "1 fail" in html
    assert "10 of them" in html
    unfolded = graph_html(graph, shot(*shots), lambda _: ("", ""), folds=Folds(unfolded=True))
    assert "ggrid" not in unfolded
    assert unfolded.count('class="map"') == FOLDS_AT


@pytest.mark.parametrize(
    ("name", "group"),
    [("step_07", "step"), ("load_eu", "load"), ("load", "load"), ("p12", "p"), ("12", "12")],
)
def test_a_group_is_called_by_what_its_names_begin_with(name, group):
    assert group_of(name) == group


def test_a_lane_that_is_folded_says_its_facts_in_a_line(flow):
    consumer(flow, "price", SQSQueue("orders"), Empty())
    graph = graph_of(flow.spec())
    (lane,) = graph.lanes
    folded = Folds(lanes=frozenset({lane.name}))
    html = graph_html(graph, shot(), lambda _: ("", ""), folds=folded)
    assert 'class="map"' not in html
    assert "orders → price → Empty" in html
    assert 'aria-expanded="false"' in html


def test_what_is_saved_names_no_folder_of_this_machine(flow, tmp_path):
    consumer(flow, "price", File("orders.csv"), DuckDBTable("shop.duckdb", "priced"))
    assert str(tmp_path) not in graph_html(graph_of(flow.spec()), shot(), lambda _: ("", ""))


def test_names_of_users_are_escaped(flow):
    flow.manage(SQSQueue("x"))
    consumer(flow, "price", File("<script>.csv"), Empty())
    html = graph_html(graph_of(flow.spec()), shot(), lambda _: ("<b>", ""), folds=Folds())
    assert "<script>" not in html
    assert "<b>&lt;" not in html
    assert "· <b>" not in html


def test_a_flow_without_anything_has_no_picture(flow):
    assert graph_html(graph_of(flow.spec()), shot(), lambda _: ("", "")) == ""
