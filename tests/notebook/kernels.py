"""A real kernel, spoken to as JupyterLab does: cells with ids, outputs told apart by their cell."""

import os
import time
from types import SimpleNamespace

from jupyter_client.manager import KernelManager

DEADLINE_S = 30
SHUTDOWN_S = 10
STARTS = 3  # ports are looked for beforehand: another process may take one before the kernel does


class Kernel:
    """Starts an ipykernel; `strays` collects output that no cell asked for."""

    def __init__(self, folder, env=None):
        for left in reversed(range(STARTS)):
            self.manager = KernelManager(shutdown_wait_time=SHUTDOWN_S)
            self.manager.start_kernel(cwd=str(folder), env={**os.environ, **(env or {})})
            self.client = self.manager.client()
            self.client.start_channels()
            try:
                self.client.wait_for_ready(timeout=DEADLINE_S)
                break
            except RuntimeError:
                self.close()
                if not left:
                    raise
        self._forget_replies()
        self.strays = []

    def __call__(self, code, cell_id=None, answer=None):
        """Run a cell to its end and give what came out of it; `answer` is typed when it asks."""
        sent = self.send(code, cell_id, allow_stdin=answer is not None)
        found = SimpleNamespace(text="", bundles=[], updates=[], traits=[], error=None, asked="")
        if answer is not None:
            found.asked = self.client.get_stdin_msg(timeout=DEADLINE_S)["content"]["prompt"]
            self.client.input(answer)
        for message in self.messages():
            content, kind = message["content"], message["msg_type"]
            if kind == "comm_msg":
                found.traits.append(content["data"])
            elif message["parent_header"].get("msg_id") != sent:
                self.strays.append(message)
            elif kind == "status" and content["execution_state"] == "idle":
                break
            else:
                self._keep(found, kind, content)
        reply = self.client.get_shell_msg(timeout=DEADLINE_S)["content"]
        found.status, found.number = reply["status"], reply.get("execution_count")
        return found

    def messages(self):
        """What the kernel publishes, as long as the deadline allows."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            yield self.client.get_iopub_msg(timeout=DEADLINE_S)
        raise TimeoutError

    def send(self, code, cell_id=None, *, allow_stdin=False):
        """Ask for a cell; gives the id of the question."""
        # Not to stop on errors: for a moment after one, the kernel would drop the next question.
        content = {"code": code, "silent": False, "store_history": True, "stop_on_error": False}
        content |= {"user_expressions": {}, "allow_stdin": allow_stdin}
        message = self.client.session.msg("execute_request", content)
        if cell_id is not None:
            message["metadata"]["cellId"] = cell_id
        self.client.shell_channel.send(message)
        return message["header"]["msg_id"]

    def _keep(self, found, kind, content):
        if kind == "stream":
            found.text += content["text"]
        elif kind == "error":
            found.error = f"{content['ename']}: {content['evalue']}"
            found.traceback = content["traceback"]
        elif kind in ("display_data", "execute_result"):
            found.bundles.append(content["data"])
        elif kind == "update_display_data":
            found.updates.append(content["data"])

    def _forget_replies(self):
        """A slow kernel was asked several times whether it is ready: only one answer was read."""
        last = self.client.kernel_info()
        while self.client.get_shell_msg(timeout=DEADLINE_S)["parent_header"]["msg_id"] != last:
            pass

    def value(self, expression):
        """The repr of an expression in the kernel."""
        return self(expression).bundles[0]["text/plain"]

    def close(self):
        """Ask the kernel to end, as a person does who closes the notebook."""
        self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel()
        self.manager.cleanup_resources()
