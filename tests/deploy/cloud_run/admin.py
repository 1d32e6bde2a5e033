"""Cloud Run's Admin API v2, in this process: a gRPC server for the official client to talk to.

It keeps services, revisions, policies and long-running operations, refuses what `admin_rules`
says, and starts no container: an image whose name holds ``broken`` never becomes ready. A fault
may be set for the n-th call, before it is obeyed or after it was: then the answer is lost.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

import grpc
from google.cloud import run_v2
from google.iam.v1 import iam_policy_pb2, policy_pb2
from google.longrunning import operations_pb2
from google.rpc import status_pb2

from deploy.cloud_run.admin_rules import faults, plain

DEFAULT_IDENTITY = "123456789012-compute@developer.gserviceaccount.com"
"""Whose name the API writes where a service names none."""

SUCCEEDED = run_v2.Condition.State.CONDITION_SUCCEEDED
FAILED = run_v2.Condition.State.CONDITION_FAILED
READY = "Ready"

When = Literal["before", "after"]


class Refusal(Exception):
    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class Admin:
    """The state of one project in one region, for a test to look at and to meddle with."""

    services: dict[str, run_v2.Service] = field(default_factory=dict)
    revisions: dict[str, list[str]] = field(default_factory=dict)
    policies: dict[str, policy_pb2.Policy] = field(default_factory=dict)
    operations: dict[str, operations_pb2.Operation] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    allows_all_users: bool = True
    polls: int = 0
    """How often an operation is looked at before it is done."""

    fail_at: int | None = None
    """The call, from 1, that fails."""

    fail_when: When = "before"
    meanwhile: dict[str, Callable[[], None]] = field(default_factory=dict)
    """What somebody else does right after a call, by its name."""

    _pending: dict[str, int] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def empty(self) -> bool:
        return not (self.services or self.revisions or self.policies)

    # The methods ---------------------------------------------------------------------------------

    def create_service(self, request: run_v2.CreateServiceRequest) -> operations_pb2.Operation:
        path = f"{request.parent}/services/{request.service_id}"
        if request.service.name:
            raise _invalid("service.name: must be empty")
        if path in self.services:
            raise Refusal(grpc.StatusCode.ALREADY_EXISTS, f"{path} already exists")
        self._check(request.service_id, request.service)
        self.revisions[path] = []
        self.policies[path] = policy_pb2.Policy(etag=b"0")
        return self._put(path, copy.deepcopy(request.service))

    def update_service(self, request: run_v2.UpdateServiceRequest) -> operations_pb2.Operation:
        path = request.service.name
        before = self._found(path)
        if request.service.etag and request.service.etag != before.etag:
            raise Refusal(grpc.StatusCode.ABORTED, "the etag is of an older version")
        self._check(path.rpartition("/")[2], request.service)
        return self._put(path, copy.deepcopy(request.service), before)

    def delete_service(self, request: run_v2.DeleteServiceRequest) -> operations_pb2.Operation:
        service = self._found(request.name)
        del self.services[request.name], self.revisions[request.name], self.policies[request.name]
        return self._operation(service)

    def get_service(self, request: run_v2.GetServiceRequest) -> run_v2.Service:
        return self._found(request.name)

    def delete_revision(self, request: run_v2.DeleteRevisionRequest) -> operations_pb2.Operation:
        path = request.name.partition("/revisions/")[0]
        if request.name not in self.revisions.get(path, []):
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"{request.name} not found")
        if self.services[path].latest_ready_revision == request.name:
            raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, "the revision serves traffic")
        self.revisions[path].remove(request.name)
        return self._operation(run_v2.Revision(name=request.name))

    def get_iam_policy(self, request: iam_policy_pb2.GetIamPolicyRequest) -> policy_pb2.Policy:
        self._found(request.resource)
        policy = copy.deepcopy(self.policies[request.resource])
        if request.options.requested_policy_version < 3:
            for binding in policy.bindings:
                binding.ClearField("condition")
        return policy

    def set_iam_policy(self, request: iam_policy_pb2.SetIamPolicyRequest) -> policy_pb2.Policy:
        self._found(request.resource)
        policy = request.policy
        if policy.etag != self.policies[request.resource].etag:
            raise Refusal(grpc.StatusCode.ABORTED, "the policy's etag is of an older version")
        members = [member for binding in policy.bindings for member in binding.members]
        if "allUsers" in members and not self.allows_all_users:
            raise Refusal(
                grpc.StatusCode.FAILED_PRECONDITION,
                "One or more users named in the policy do not belong to a permitted customer.",
            )
        kept = policy_pb2.Policy(etag=b"%d" % next(self._numbers), bindings=policy.bindings)
        self.policies[request.resource] = kept
        return kept

    def get_operation(self, request: operations_pb2.GetOperationRequest) -> Any:
        left = self._pending[request.name]
        self._pending[request.name] = max(0, left - 1)
        done = self.operations[request.name]
        return done if left == 0 else operations_pb2.Operation(name=request.name)

    # What they do --------------------------------------------------------------------------------

    def _found(self, path: str) -> run_v2.Service:
        if path not in self.services:
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"Resource '{path}' was not found")
        return self.services[path]

    def _check(self, service_id: str, service: run_v2.Service) -> None:
        if found := list(faults(service_id, service)):
            raise _invalid("; ".join(found))
        named = service.template.revision
        names = {each.rpartition("/")[2] for path in self.revisions.values() for each in path}
        if named in names:
            raise Refusal(grpc.StatusCode.ALREADY_EXISTS, f"revision {named} already exists")

    def _put(
        self, path: str, service: run_v2.Service, before: run_v2.Service | None = None
    ) -> operations_pb2.Operation:
        """A changed template is a new revision; one that never starts leaves traffic as it was."""
        service.name, service.etag = path, f'"{next(self._numbers)}"'
        service.template.service_account = service.template.service_account or DEFAULT_IDENTITY
        service.uri = f"https://{path.rpartition('/')[2]}-x1y2z3-uc.a.run.app"
        created, ready = ("", "") if before is None else (
            before.latest_created_revision, before.latest_ready_revision
        )  # fmt: skip
        if before is None or before.template != service.template:
            created = f"{path}/revisions/{path.rpartition('/')[2]}-{next(self._numbers):05d}"
            self.revisions[path].append(created)
        starts = "broken" not in service.template.containers[0].image
        service.latest_created_revision = created
        service.latest_ready_revision = created if starts else ready
        service.terminal_condition = run_v2.Condition(
            type_=READY,
            state=SUCCEEDED if starts else FAILED,
            message=""
            if starts
            else f"Revision '{created}' is not ready: the container failed "
            "to start and listen on the port defined by PORT=8080.",
        )
        self.services[path] = service
        return self._operation(service)

    def _operation(self, result: Any) -> operations_pb2.Operation:
        operation = operations_pb2.Operation(name=f"operations/{next(self._numbers)}", done=True)
        condition = getattr(result, "terminal_condition", None)
        if condition is not None and condition.state == FAILED and result.name in self.services:
            operation.error.CopyFrom(status_pb2.Status(code=9, message=condition.message))
        else:
            operation.response.Pack(plain(result))
        self.operations[operation.name] = operation
        self._pending[operation.name] = self.polls
        return operation if self.polls == 0 else operations_pb2.Operation(name=operation.name)


def _invalid(message: str) -> Refusal:
    return Refusal(grpc.StatusCode.INVALID_ARGUMENT, message)


_METHODS: dict[str, dict[str, tuple[str, Any]]] = {
    "google.cloud.run.v2.Services": {
        "CreateService": ("create_service", run_v2.CreateServiceRequest),
        "UpdateService": ("update_service", run_v2.UpdateServiceRequest),
        "DeleteService": ("delete_service", run_v2.DeleteServiceRequest),
        "GetService": ("get_service", run_v2.GetServiceRequest),
        "GetIamPolicy": ("get_iam_policy", iam_policy_pb2.GetIamPolicyRequest),
        "SetIamPolicy": ("set_iam_policy", iam_policy_pb2.SetIamPolicyRequest),
    },
    "google.cloud.run.v2.Revisions": {
        "DeleteRevision": ("delete_revision", run_v2.DeleteRevisionRequest),
    },
    "google.longrunning.Operations": {
        "GetOperation": ("get_operation", operations_pb2.GetOperationRequest),
    },
}


@contextmanager
def serving(admin: Admin) -> Iterator[grpc.Channel]:
    """A channel to it."""
    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    server.add_generic_rpc_handlers(
        tuple(
            grpc.method_handlers_generic_handler(
                name, {method: _handler(admin, *how) for method, how in methods.items()}
            )
            for name, methods in _METHODS.items()
        )
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        server.stop(grace=None).wait()


def _handler(admin: Admin, name: str, request: Any) -> grpc.RpcMethodHandler:
    method: Callable[[Any], Any] = getattr(admin, name)

    def answer(received: Any, context: grpc.ServicerContext) -> Any:
        admin.calls.append(name)
        fails = len(admin.calls) == admin.fail_at
        if fails and admin.fail_when == "before":
            context.abort(grpc.StatusCode.INTERNAL, "injected before")
        try:
            result = copy.deepcopy(method(received))
        except Refusal as refusal:
            context.abort(refusal.code, str(refusal))
        if fails:
            context.abort(grpc.StatusCode.INTERNAL, "injected after")
        admin.meanwhile.get(name, lambda: None)()
        return result

    parse = request.deserialize if hasattr(request, "deserialize") else request.FromString
    return grpc.unary_unary_rpc_method_handler(
        answer, request_deserializer=parse, response_serializer=_serialized
    )


def _serialized(message: Any) -> bytes:
    packed: bytes = (
        message.SerializeToString()
        if hasattr(message, "SerializeToString")
        else type(message).serialize(message)
    )
    return packed
