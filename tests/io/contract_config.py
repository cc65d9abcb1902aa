"""What every primitive keeps as configuration."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any, ClassVar

import pytest


class ConfigContract:
    """A primitive is printable, comparable configuration."""

    hashable: ClassVar[bool] = True

    def make(self, folder: Path) -> Any:
        """A primitive; called twice it gives two that are equal."""
        raise NotImplementedError

    def test_is_equal_to_one_of_the_same_configuration(self, tmp_path):
        first, second = self.make(tmp_path), self.make(tmp_path)
        assert first == second
        assert first.primitive_id == second.primitive_id
        assert first.primitive_id

    def test_is_hashable(self, tmp_path):
        if self.hashable:
            assert hash(self.make(tmp_path)) == hash(self.make(tmp_path))

    def test_survives_pickling(self, tmp_path):
        primitive = self.make(tmp_path)
        again = pickle.loads(pickle.dumps(primitive))  # noqa: S301
        assert again == primitive
        assert again.primitive_id == primitive.primitive_id

    def test_is_frozen_and_shows_itself(self, tmp_path):
        primitive = self.make(tmp_path)
        assert repr(primitive).startswith(type(primitive).__name__ + "(")
        for field in fields(primitive):
            with pytest.raises(FrozenInstanceError):
                setattr(primitive, field.name, None)
        assert isinstance(primitive.label, str)
        assert "\n" not in primitive.label

    def test_making_one_touches_nothing(self, tmp_path):
        before = sorted(tmp_path.rglob("*"))
        self.make(tmp_path)
        assert sorted(tmp_path.rglob("*")) == before
