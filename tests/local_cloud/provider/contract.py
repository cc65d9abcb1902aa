"""What every resource type keeps, over gRPC and without an engine."""

from __future__ import annotations

from typing import ClassVar

import pytest

from buildflow_nb.local_cloud.provider.codec import UNKNOWN


def came_true(promised, found):
    if promised is UNKNOWN:
        return True
    if isinstance(promised, dict) and isinstance(found, dict):
        return all(came_true(part, found.get(name)) for name, part in promised.items())
    if isinstance(promised, list) and isinstance(found, list):
        return len(promised) == len(found) and all(map(came_true, promised, found))
    return promised == found


class ResourceContract:
    """Inherited per type; `inputs` gives what a program would say, `change` a change in place."""

    token: ClassVar[str]
    change: ClassVar[dict] = {}
    replacing: ClassVar[dict] = {}

    @pytest.fixture
    def instance(self):
        raise NotImplementedError

    @pytest.fixture
    def inputs(self):
        raise NotImplementedError

    def test_its_whole_life(self, instance, inputs):
        checked = instance.check(self.token, inputs)
        _, planned = instance.create(self.token, checked, preview=True)
        resource_id, outputs = instance.create(self.token, checked)
        assert resource_id
        self.keeps_its_promise(planned, outputs)
        same = instance.diff(self.token, resource_id, outputs, checked, checked)
        assert not same.detailedDiff

        # A refresh finds nothing new, and an import the same.
        found = instance.read(self.token, resource_id, outputs, checked)
        assert found == (resource_id, checked, outputs)
        imported_id, imported, _ = instance.read(self.token, resource_id)
        assert imported_id == resource_id
        drift = instance.diff(self.token, resource_id, outputs, imported, checked)
        assert not drift.detailedDiff, drift

        if self.change:
            self.changes_in_place(instance, inputs, resource_id, outputs, checked)
        instance.delete(self.token, resource_id, outputs)
        assert instance.read(self.token, resource_id, outputs, checked)[0] == ""
        instance.delete(self.token, resource_id, outputs)

    def keeps_its_promise(self, planned, outputs):
        """What a preview promised came true; what it did not know is there."""
        assert outputs.values.keys() >= planned.values.keys()
        for name, value in planned.values.items():
            assert came_true(value, outputs.values[name]), name
        assert UNKNOWN not in outputs.values.values()

    def changes_in_place(self, instance, inputs, resource_id, outputs, checked):
        news = instance.check(self.token, {**inputs, **self.change}, checked.values)
        answer = instance.diff(self.token, resource_id, outputs, checked, news)
        assert set(answer.diffs) == set(self.change)
        assert not answer.replaces
        planned = instance.update(self.token, resource_id, outputs, checked, news, preview=True)
        updated = instance.update(self.token, resource_id, outputs, checked, news)
        self.keeps_its_promise(planned, updated)
        assert instance.read(self.token, resource_id, updated, news)[1:] == (news, updated)
        # And back again, to what was left out before.
        instance.update(self.token, resource_id, updated, news, checked)
        found = instance.read(self.token, resource_id, outputs, checked)[1]
        assert not instance.diff(self.token, resource_id, outputs, found, checked).detailedDiff

    def test_what_forces_a_replacement(self, instance, inputs):
        checked = instance.check(self.token, inputs)
        assert self.replacing
        for name, value in self.replacing.items():
            news = instance.check(self.token, {**inputs, name: value}, checked.values)
            answer = instance.diff(self.token, "id", checked, checked, news)
            assert name in answer.replaces

    def test_wrong_inputs(self, instance, inputs):
        failures = instance.failures(self.token, {**inputs, "nonsense": 1})
        assert "does not carry out 'nonsense'" in failures["nonsense"]
        for name in inputs:
            wrong = instance.failures(self.token, {**inputs, name: [3]})
            assert any("expected" in reason for path, reason in wrong.items() if name in path)
        required = {n for n, i in self.schema().inputs.items() if i.required}
        missing = instance.failures(self.token, {})
        assert required <= missing.keys()
        for name in required:
            assert missing[name] == f"Missing required property '{name}'"

    def schema(self):
        raise NotImplementedError
