import pytest

from buildflow_nb.core.nearest import nearest


@pytest.mark.parametrize(
    ("word", "hint"),
    [("applyy", "; did you mean 'apply'?"), ("zzz", ""), ("run", "; did you mean 'run'?")],
)
def test_the_nearest_word_is_hinted_at(word, hint):
    assert nearest(word, {"apply": 1, "run": 2}) == hint
