"""A flow's cloud resources: previewed, applied, refreshed and destroyed."""

from __future__ import annotations

from buildflow_nb.core.operations import Operation, OperationListener, Outcome
from buildflow_nb.core.options import FlowOptions
from buildflow_nb.flow.declaring import Declaring
from buildflow_nb.infra.ask import ask
from buildflow_nb.infra.place import Confirm, finished

__all__ = ("Owning",)


class Owning(Declaring):
    """A flow that owns cloud resources."""

    options: FlowOptions

    def preview(self, listener: OperationListener = lambda _: None) -> Outcome:
        """What `apply` would create, change and delete.

        Raises:
            InfraError: the engine cannot work, or the program or a provider failed.
        """
        return finished(self.place.operate(Operation.PREVIEW, self.registry.managed, listener))

    def apply(
        self,
        *,
        yes: bool = False,
        confirm: Confirm = ask,
        listener: OperationListener = lambda _: None,
    ) -> Outcome:
        """Make the cloud resources as declared; `confirm` is asked unless `yes` or the options say.

        Raises:
            RejectedError: the answer was no.
            InfraError: it failed or was interrupted; what was done is kept.
            UsageError: nobody can be asked.
        """
        return self._change(Operation.APPLY, confirm=None if yes else confirm, listener=listener)

    def refresh(self, listener: OperationListener = lambda _: None) -> Outcome:
        """Look at the cloud and note what was changed there behind the flow's back.

        Raises:
            InfraError: it failed or was interrupted.
        """
        return finished(self.place.operate(Operation.REFRESH, self.registry.managed, listener))

    def destroy(
        self,
        *,
        yes: bool = False,
        confirm: Confirm = ask,
        listener: OperationListener = lambda _: None,
    ) -> Outcome:
        """Delete every cloud resource of the stack; `confirm` is asked as for `apply`.

        Raises:
            RejectedError: the answer was no.
            InfraError: it failed or was interrupted; what was done is kept.
            UsageError: nobody can be asked.
        """
        return self._change(Operation.DESTROY, confirm=None if yes else confirm, listener=listener)

    def _change(
        self, operation: Operation, *, confirm: Confirm | None, listener: OperationListener
    ) -> Outcome:
        wanted = confirm if self.options.require_confirmation else None
        return self.place.change(operation, self.registry.managed, wanted, listener)
