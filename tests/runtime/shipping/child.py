"""Another process: calls what it is sent with what it is sent, and answers with what came of it."""

import io
import sys

from buildflow_nb.runtime.shipping import pack_shown, unpack


def main() -> None:
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    while head := asked.read(8):
        sys.stdout = printed = io.StringIO()
        try:
            function, args = unpack(asked.read(int.from_bytes(head, "big")))
            answer = function(*args)
        except Exception as error:  # noqa: BLE001  (of anybody's)
            answer = error
        data = pack_shown((answer, printed.getvalue()))
        answer = function = args = None  # what was made here is let go
        answers.write(len(data).to_bytes(8, "big") + data)
        answers.flush()


main()
