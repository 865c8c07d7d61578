"""Actors and calls of Ray that this process answers by itself: for tests of what a driver does, without a cluster."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from types import SimpleNamespace
from typing import Any


class Killed(Exception):
    """What a call of an actor raises that was killed, as Ray's `ActorDiedError` does."""


class LocalActor:
    """An asynchronous actor on a loop of its own; its calls may wait for each other, up to the limit of its options."""

    def __init__(self, actor: Any, options: dict[str, Any]) -> None:
        self.actor, self.options, self.is_killed = actor, options, False
        self.loop = asyncio.new_event_loop()
        self.calls = asyncio.Semaphore(options.get("max_concurrency", 1000))
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any) -> Any:
            async with self.calls:
                return await getattr(self.actor, name)(*arguments)

        def remote(*arguments: Any) -> Future[Any]:
            if self.is_killed:  # which Ray says where the result is wanted
                refused: Future[Any] = Future()
                refused.set_exception(Killed())
                return refused
            return asyncio.run_coroutine_threadsafe(call(*arguments), self.loop)

        return SimpleNamespace(remote=remote)

    def kill(self) -> None:
        """End every call that waits, and refuse further ones."""

        async def end() -> None:
            own = asyncio.current_task()
            for task in asyncio.all_tasks():
                if task is not own:
                    task.cancel()

        self.is_killed = True
        asyncio.run_coroutine_threadsafe(end(), self.loop).result()


class LocalRay:
    """What the driver of a run takes of Ray, in this process.

    Attributes:
        actors: that were started.
    """

    def __init__(self) -> None:
        self.actors: list[LocalActor] = []

    def get_runtime_context(self) -> Any:
        """Where the driver is."""
        return SimpleNamespace(get_node_id=lambda: "ab" * 28)

    def remote(self, kind: Callable[..., Any]) -> Any:
        """A class as actor."""

        def options(**given: Any) -> Any:
            def start(*arguments: Any) -> LocalActor:
                self.actors.append(LocalActor(kind(*arguments), given))
                return self.actors[-1]

            return SimpleNamespace(remote=start)

        return SimpleNamespace(options=options)

    def get(self, call: Future[Any]) -> Any:
        """What a call returns."""
        try:
            return call.result(30)
        except CancelledError:
            raise Killed from None

    def kill(self, actor: LocalActor) -> None:
        """End an actor."""
        actor.kill()
