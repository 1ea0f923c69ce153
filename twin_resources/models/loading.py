"""Importing large libraries."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import importlib.machinery
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

_DEFERRED = {"sklearn.metrics": {"pairwise_distances"}, "scipy.optimize": {"linear_sum_assignment"}}
"""What sentence-transformers takes for sparse vectors, and transformers for objects in pictures."""
_entry = threading.Lock()
_undo = contextlib.ExitStack()
_inside = 0
"""How many threads import sparingly now."""


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Import without the garbage collector: of what a library makes while it is imported nearly nothing is garbage,
    and looking for some takes a fifth of the time. It is not looked for there later either: all that there is when
    something was imported stays."""
    collects, modules = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > modules:
            gc.freeze()
        if collects:
            gc.enable()


@contextlib.contextmanager
def sparingly() -> Iterator[None]:
    """:func:`uncollected`, and without what libraries load for functions that nobody here calls: a third of the time
    that sentence-transformers and PEFT take. Scikit-learn's metrics and SciPy's optimisation are imported by the first
    call of such a function. Functions that are decorated with ``torch.compile``, as two of bitsandbytes are, look for
    their compiler when they are called; that takes torch to be imported before."""
    global _inside
    with uncollected():
        with _entry:
            _inside += 1
            if _inside == 1:
                _stand_in()
        try:
            yield
        finally:
            with _entry:
                _inside -= 1
                if not _inside:
                    _undo.close()


def import_transformers() -> None:
    """Import torch, and transformers with what loads a model, :func:`sparingly`: its auto classes alone leave that to
    their first call."""
    with uncollected():
        import torch  # noqa: F401
    with sparingly():
        import transformers.modeling_utils  # noqa: F401


def _stand_in() -> None:
    """Put stand-ins in place until ``_undo``; who took a function from one keeps it."""
    for name, functions in _DEFERRED.items():
        if name not in sys.modules:
            sys.modules[name] = stand_in = _Deferred(name, functions)
            _undo.callback(stand_in.leave)
    torch: Any = sys.modules.get("torch")
    compiles = getattr(torch, "compile", None)
    if compiles:
        torch.compile = _compiling_later(compiles)
        _undo.callback(setattr, torch, "compile", compiles)


class _Deferred(ModuleType):
    """Stands for a module that is imported when one of its ``functions`` is called, or at once for anything else."""

    def __init__(self, name: str, functions: set[str]) -> None:
        super().__init__(name)
        self.__spec__ = importlib.machinery.ModuleSpec(name, None)
        self._functions = functions

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name not in self._functions:
            return getattr(self._real(), name)

        def call(*arguments: Any, **options: Any) -> Any:
            return getattr(self._real(), name)(*arguments, **options)

        call.__name__ = name
        return call

    def leave(self) -> None:
        """Stand for the module no longer."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]

    def _real(self) -> ModuleType:
        self.leave()
        return importlib.import_module(self.__name__)


def _compiling_later(compiles: Callable[..., Any]) -> Callable[..., Any]:
    """``torch.compile``, whose functions look for their compiler when first called; a module has it at once."""

    @functools.wraps(compiles)
    def later(model: Any = None, **options: Any) -> Any:
        if model is None:
            return functools.partial(later, **options)
        if not inspect.isfunction(model):
            return compiles(model, **options)
        compiled = functools.cache(lambda: compiles(model, **options))

        @functools.wraps(model)
        def call(*arguments: Any, **named: Any) -> Any:
            return compiled()(*arguments, **named)

        return call

    return later
