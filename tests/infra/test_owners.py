"""Each cloud resource belongs to the flow that applied it, with the real engine."""

from __future__ import annotations

import errno
import json

import pytest

from buildflow_nb.core.config import Config, Stack
from buildflow_nb.core.errors import InfraError, RejectedError
from buildflow_nb.core.options import FlowOptions
from buildflow_nb.core.status.operations import (
    Consent,
    DeclaredPrimitives,
    Diagnostic,
    Op,
    Operation,
)
from buildflow_nb.infra.flow_stack import FlowStack
from buildflow_nb.infra.operation import operate
from buildflow_nb.infra.pulumi import taking_over
from buildflow_nb.infra.pulumi.deployment import Deployment
from buildflow_nb.infra.pulumi.stack_lock import lock_stack
from tests.infra.conftest import ENGINE
from tests.infra.primitives import Q

pytestmark = ENGINE

YES = Consent(None)


class Notebook:
    """A notebook in the folder of the shared local cloud."""

    def __init__(self, folder, name, config=None):
        self.config = config or Config.implicit(folder)
        self.path = folder / name
        self.path.write_text("{}")
        self.place = FlowStack(self.config, self.config.stack(None), FlowOptions(), name, name)
        self.mentioned = ()

    def apply(self, *managed, consent=YES):
        self.mentioned += managed
        self.said = []
        return self.place.change(
            Operation.APPLY, DeclaredPrimitives(managed, self.mentioned), consent, self.said.append
        ).summary.changes

    def destroy(self, consent=YES):
        return self.place.change(Operation.DESTROY, DeclaredPrimitives(()), consent).summary.changes

    @property
    def told(self):
        return [event.message for event in self.said if isinstance(event, Diagnostic)]

    @property
    def held(self):
        return {one.name for one in self.place.view(()).resources}


@pytest.fixture
def notebook(cloud_folder, cloud, request):
    """Makes notebooks whose resources are gone after the test."""
    made = []

    def make(name, config=None):
        made.append(Notebook(cloud_folder, f"{request.node.name[:20]}-{name}", config))
        return made[-1]

    yield make
    for one in made:
        one.place.operate(Operation.DESTROY, DeclaredPrimitives(()))
        one.path.unlink(missing_ok=True)


def test_two_notebooks_share_the_cloud_and_not_the_state(notebook, queues):
    one, other = notebook("a.ipynb"), notebook("b.ipynb")
    assert one.apply(Q("own-a1"), Q("own-a2")) == {Op.CREATE: 2}
    assert other.apply(Q("own-b")) == {Op.CREATE: 1}
    assert queues("own-") == ["own-a1", "own-a2", "own-b"]
    other.destroy()
    assert queues("own-") == ["own-a1", "own-a2"]


def test_a_yes_beforehand_never_deletes_what_was_not_declared(notebook, queues):
    one = notebook("a.ipynb")
    one.apply(Q("kept-1"), Q("kept-2"))
    one.mentioned = ()  # the kernel was restarted
    with pytest.raises(RejectedError, match=r"Q kept-1, Q kept-2 .not declared in this session"):
        one.apply()
    with pytest.raises(RejectedError, match="deletes 1 resource"):
        one.apply(Q("kept-1"), Q("new"))
    assert queues("kept-") == ["kept-1", "kept-2"]
    assert one.apply(Q("kept-1"), consent=Consent(None, delete=True)) == {Op.DELETE: 1}


def test_a_renamed_queue_needs_no_more_than_a_yes(notebook, queues):
    one = notebook("a.ipynb")
    one.apply(Q("spelt-worng"))
    assert one.apply(Q("spelt-right")) == {Op.CREATE: 1, Op.DELETE: 1}
    assert queues("spelt-") == ["spelt-right"]


def test_in_an_app_that_is_shared_anothers_are_not_deleted_unseen(notebook, queues, tmp_path):
    stack = Stack("local", f"file://{tmp_path}", "local")
    shared = Config("shared", notebook("x").config.folder, {"local": stack}, "local")
    one, other = notebook("a.ipynb", shared), notebook("b.ipynb", shared)
    one.apply(Q("app-a"))
    with pytest.raises(RejectedError, match=rf"Q app-a .applied by {one.path.name}.*--delete"):
        other.apply(Q("app-b1"), Q("app-b2"))
    plans = []
    with pytest.raises(RejectedError, match="rejected"):
        other.apply(Q("app-b1"), Q("app-b2"), consent=Consent(plans.append))
    assert plans[0].deletions.must_type == "delete 1"
    assert plans[0].deletions.by_others == {one.path.name: ("Q app-a",)}
    with pytest.raises(RejectedError, match=r"destroy deletes 1 resource: Q app-a .applied by"):
        other.destroy()
    assert queues("app-") == ["app-a"]
    assert other.apply(Q("app-a"), Q("app-b1")) == {Op.CREATE: 1}  # both declared here: shared
    assert other.place.view(()).applied_by == dict.fromkeys(
        ("Q app-a", "Q app-b1"), other.path.name
    )


def test_what_another_applied_is_not_applied_again(notebook, queues):
    one, other = notebook("a.ipynb"), notebook("b.ipynb")
    one.apply(Q("taken"))
    with pytest.raises(InfraError, match=rf"Q taken was applied by {one.path.name} .flow"):
        other.apply(Q("taken"), Q("free"))
    assert queues("free") == []
    other.apply(Q("free"))  # nothing is left of the refusal
    assert other.held == {"free"}


def test_a_renamed_notebook_takes_its_resources_along(notebook):
    one, other = notebook("a.ipynb"), notebook("c.ipynb")
    one.apply(Q("moved-1"), Q("moved-2"))
    one.path.unlink()
    assert other.apply(Q("moved-1")) == {}
    assert other.told[0].startswith("took over Q moved-1, applied before as ")
    assert "left there: Q moved-2" in other.told[0]
    assert (one.held, other.held) == ({"moved-2"}, {"moved-1"})
    assert other.apply(Q("moved-1"), Q("moved-2"), Q("moved-3")) == {Op.CREATE: 1}
    assert (one.held, other.held) == (set(), {"moved-1", "moved-2", "moved-3"})
    assert other.apply(Q("moved-1"), Q("moved-2"), Q("moved-3")) == {}
    assert other.told == []
    assert other.destroy() == {Op.DELETE: 3}


def test_the_state_that_a_folder_shared_before_is_taken_over_piece_by_piece(
    notebook, cloud_folder, cloud
):
    one, other = notebook("a.ipynb"), notebook("b.ipynb")
    old = Deployment(
        cloud_folder.name,
        one.place.stack,
        cloud_folder,
        ".buildflow/pulumi",
        one.place.env(),
        (Q("old-a"), Q("old-b"), Q("old-c")),
        cloud.providers,
    )
    operate(old, Operation.APPLY)
    without_names(old.state)
    assert one.apply(Q("old-a")) == {}
    assert other.apply(Q("old-b"), Q("new-b")) == {Op.CREATE: 1}
    assert (one.held, other.held) == ({"old-a"}, {"old-b", "new-b"})
    assert operate(old, Operation.DESTROY).changes == {Op.DELETE: 1}


def without_names(state):
    """As versions before wrote it: it does not say who applied what."""
    whole = json.loads(state.read_text())
    for one in whole["checkpoint"]["latest"]["resources"]:
        (one.get("outputs") or {}).pop("applied_by", None)
    state.write_text(json.dumps(whole))


def test_a_file_that_names_the_app_may_come_and_go(notebook):
    before = notebook("a.ipynb")
    before.apply(Q("came-1"))
    app = Config("app", before.config.folder, {"local": before.place.stack}, "local")
    during = notebook("a.ipynb", app)
    assert during.apply(Q("came-1"), Q("came-2")) == {Op.CREATE: 1}
    assert (before.held, during.held) == (set(), {"came-1", "came-2"})
    assert before.apply(Q("came-1"), Q("came-2")) == {}
    assert (before.held, during.held) == ({"came-1", "came-2"}, set())


def test_what_is_changed_while_a_person_thinks_is_looked_at_again(notebook, queues, tmp_path):
    stack = Stack("local", f"file://{tmp_path}", "local")
    shared = Config("thinking", notebook("x").config.folder, {"local": stack}, "local")
    one, other = notebook("a.ipynb", shared), notebook("b.ipynb", shared)

    def meanwhile(_):
        other.apply(Q("think-b"))
        return True

    with pytest.raises(InfraError, match="changed by somebody else since it was looked at"):
        one.apply(Q("think-a"), consent=Consent(meanwhile))
    assert queues("think-") == ["think-b"]


def test_anothers_is_not_replaced_unseen(notebook, tmp_path):
    stack = Stack("local", f"file://{tmp_path}", "local")
    shared = Config("replacing", notebook("x").config.folder, {"local": stack}, "local")
    one, other = notebook("a.ipynb", shared), notebook("b.ipynb", shared)
    one.apply(Q("whole"))
    with pytest.raises(RejectedError, match="replaces 1 resource: Q whole"):
        other.apply(Q("whole", fifo=True))
    assert one.apply(Q("whole", fifo=True)) == {Op.REPLACE: 1}  # its own


def test_a_destroy_takes_nothing_over_and_tells_what_is_left(notebook, queues):
    one, other = notebook("a.ipynb"), notebook("b.ipynb")
    one.apply(Q("left-a"))
    other.apply(Q("left-b"))
    one.path.unlink()
    heard = []
    done = other.place.change(
        Operation.DESTROY, DeclaredPrimitives((Q("left-a"), Q("left-b"))), YES, heard.append
    )
    assert done.summary.changes == {Op.DELETE: 1}
    assert queues("left-") == ["left-a"]
    (told,) = [one.message for one in heard if isinstance(one, Diagnostic)]
    assert "Q left-a: applied as" in told


def test_a_move_that_was_cut_off_in_the_middle_loses_nothing(notebook, monkeypatch):
    one, other = notebook("a.ipynb"), notebook("b.ipynb")
    one.apply(Q("cut-1"), Q("cut-2"))
    one.path.unlink()
    write, left = taking_over._write, [True]

    def once(path, state):
        if left.pop():
            left.append(False)
            write(path, state)
            return
        raise OSError(errno.EIO, "the machine stops here")

    monkeypatch.setattr(taking_over, "_write", once)
    with pytest.raises(InfraError, match="the machine stops here"):
        other.apply(Q("cut-1"))
    monkeypatch.setattr(taking_over, "_write", write)
    assert other.apply(Q("cut-1"), Q("cut-2")) == {}
    assert (one.held, other.held) == (set(), {"cut-1", "cut-2"})


@pytest.mark.parametrize("odd", [[1], [{"type": "x"}], "abc", None, [{"urn": 1, "type": 2}]])
def test_an_odd_state_of_a_neighbour_stops_nobody(notebook, odd):
    one, other = notebook("a.ipynb"), notebook("b.ipynb")
    one.apply(Q("odd-a"))
    state = one.place.deployment(()).state
    whole = state.read_text()
    state.write_text(json.dumps({"version": 3, "checkpoint": {"latest": {"resources": odd}}}))
    assert other.apply(Q("odd-b")) == {Op.CREATE: 1}
    state.write_text(whole)


def test_two_flows_of_one_file_take_nothing_from_each_other(notebook):
    one = notebook("a.ipynb")
    other = Notebook(one.config.folder, one.path.name)
    other.place = FlowStack(one.config, one.place.stack, FlowOptions(), "second", one.path.name)
    one.apply(Q("first"))
    with pytest.raises(InfraError, match="Q first was applied by"):
        other.apply(Q("first"))


def test_what_hangs_on_another_cloud_is_not_taken(notebook):
    one, other = notebook("a.ipynb"), notebook("b.ipynb")
    one.apply(Q("away"))
    one.path.unlink()
    state = one.place.deployment(()).state
    state.write_text(state.read_text().replace("127.0.0.1", "sqs.example"))
    assert other.apply(Q("here")) == {Op.CREATE: 1}
    assert other.place.operate(
        Operation.PREVIEW, DeclaredPrimitives((Q("away"), Q("here")))
    ).summary.changes
    assert "away" not in other.held
    state.write_text(state.read_text().replace("sqs.example", "127.0.0.1"))


def test_two_that_apply_the_same_new_thing_at_once_do_not_both_own_it(notebook):
    one, other = notebook("a.ipynb"), notebook("b.ipynb")
    lock = one.place.deployment(()).lock
    with lock_stack(lock, "local", Operation.APPLY, one.path.name, ["Q same"]) as turn:
        turn.begin()
        with pytest.raises(InfraError, match=f"Q same is being applied by {one.path.name}"):
            other.apply(Q("same"))
        assert other.apply(Q("different")) == {Op.CREATE: 1}
        turn.finish()
    assert other.apply(Q("same"), Q("different")) == {Op.CREATE: 1}
