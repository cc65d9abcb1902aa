"""Who starts a Ray waits for others that do, and not for ever."""

from __future__ import annotations

import asyncio
import os

import pytest

from buildflow_nb.runtime.ray import turn
from buildflow_nb.runtime.ray.turn import turn_to_start


def test_one_starts_after_the_other(tmp_path):
    seen: list[str] = []

    async def start(name: str) -> None:
        async with turn_to_start(tmp_path):
            seen.append(f"{name} begins")
            await asyncio.sleep(0)
            seen.append(f"{name} ends")

    async def main() -> None:
        await asyncio.wait_for(asyncio.gather(start("a"), start("b")), 20)

    asyncio.run(main())
    assert seen == ["a begins", "a ends", "b begins", "b ends"]
    (lock,) = tmp_path.iterdir()
    assert lock.stat().st_mode & 0o777 == 0o600


def test_who_does_not_let_go_is_not_waited_for_for_ever(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(turn, "TURN_S", 0.05)

    async def main() -> None:
        async with turn_to_start(tmp_path), turn_to_start(tmp_path):
            pass

    asyncio.run(asyncio.wait_for(main(), 20))


@pytest.mark.parametrize("made", ["nothing", "a link"])
def test_without_a_lock_it_starts(tmp_path, made):
    place = tmp_path / "nowhere"
    if made == "a link":
        place = tmp_path
        (place / f"buildflow-ray-{os.getuid()}.lock").symlink_to(tmp_path / "elsewhere")

    async def main() -> bool:
        async with turn_to_start(place):
            return True

    assert asyncio.run(main())
    assert not (tmp_path / "elsewhere").exists()


def test_what_fails_in_ones_turn_is_raised(tmp_path):
    async def main() -> None:
        async with turn_to_start(tmp_path):
            raise TimeoutError

    with pytest.raises(TimeoutError):
        asyncio.run(main())
