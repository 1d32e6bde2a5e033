"""Every error Pilotlight raises on purpose.

    PilotlightError
    ├── ConfigError                 the file, a flag or an environment variable is wrong
    ├── ModelRefError               a model ref nobody can read
    ├── PlanError                   what is asked of a plan can't be, or names what nobody knows
    ├── BenchError                  a workload, load or report that can't be read or measured
    ├── DeployError                 a deployment that can't be made, or that its platform refused
    │   └── DeployLimitError        it asks for more than its platform allows; nothing was sent
    ├── StoreError                  the model's bytes can't be had
    │   ├── SourceError             the source refused, is unreachable or has no such model
    │   ├── DigestError             the bytes are not the ones promised
    │   ├── DiskFullError           the disk is too small, said before the download
    │   └── ModelFormatError        the file is no model this product can read
    ├── EngineError                 the engine's side failed
    │   ├── EngineMissingError      its program isn't installed
    │   ├── EngineInstallError      it can't be installed here, or its install failed
    │   ├── EngineOptionError       an option it doesn't have, or a wrong value
    │   ├── AdapterError            a LoRA doesn't fit over the model, or the engine has none
    │   ├── EngineStartError        it ended or refused while starting; carries its last words
    │   ├── EngineCrashedError      it ended with work in hand
    │   ├── EngineUnreachableError  it runs elsewhere, and can't be reached or broke off its answer
    │   │   └── EngineTimeoutError  it runs elsewhere, and gave nothing in its time
    │   ├── EngineAnswerError       it runs elsewhere, and what it sent is no answer of its API
    │   ├── EngineRefusedError      it runs elsewhere, and refused our key, account or model
    │   ├── EngineStalledError      it made no token for `stall` seconds and was restarted
    │   ├── EngineGoneError         it kept crashing and was given up until asked for again
    │   └── CalibrationError        what it can do here couldn't be measured
    ├── RequestError                the client's side is wrong (4xx)
    │   ├── MalformedBodyError      not JSON, or not an object
    │   ├── FieldError              a field has a wrong type or value
    │   ├── UnsupportedParameterError   a field this model's engine doesn't have
    │   ├── UnsupportedOperationError   this model's engine doesn't do this at all
    │   ├── ContextTooLongError     prompt (plus answer) over the model's context
    │   ├── BodyTooLargeError       the body is over `max_body`
    │   ├── HeadersTooLargeError    address and headers are over their bound
    │   ├── AnswerTooLargeError     the answer is over what the platform carries
    │   ├── UnauthorizedError       no key, a wrong one or a revoked one
    │   ├── ForbiddenError          a good key without the right to do this, or a foreign origin
    │   ├── UnknownModelError       no model of that name is served here
    │   ├── AdapterConflictError    an adapter that is there already, or that only the file removes
    │   ├── UnknownKeyError         no API key has that id
    │   ├── UnknownRouteError       no such path
    │   └── MethodNotAllowedError   the path is there, the method isn't
    ├── CapacityError               right request, wrong moment (429/503), often with Retry-After
    │   ├── QueueFullError          the model's queue is at its bound
    │   ├── RateLimitedError        an engine that runs elsewhere has its limit for us
    │   ├── QueueTimeoutError       the deadline passed while queued
    │   ├── HoldExceededError       the model is still loading after `hold` seconds
    │   ├── DoesNotFitError         the model can't fit in this machine's memory
    │   ├── AdapterNotReadyError    not every replica has the adapter yet
    │   ├── FunctionDeadlineError   a function's time was over before the answer was whole
    │   └── DrainingError           the server is shutting down
    ├── RuntimeApiError             the API that gives a function its work refused or broke off
    └── ServerError                 the command line's talk with a running server failed
        ├── ServerUnreachableError  nobody answers there, or the connection broke
        └── ServerRefusedError      it answered with an error of its own

The message names the value; the hint is the next step. `code` is stable and
machine-readable, `status` is the HTTP status, `param` the field at fault.
"""

from __future__ import annotations

from typing import Any, ClassVar


class PilotlightError(Exception):
    """Base of them all; the command line exits with `exit_code`."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message

    def one_line(self) -> str:
        """Message and next step for a wire that has one string."""
        return f"{self.message}; {self.hint}" if self.hint else self.message


class ConfigError(PilotlightError):
    code = "config_error"
    exit_code = 2


class ModelRefError(PilotlightError):
    status = 400
    code = "bad_model_ref"
    exit_code = 2


class PlanError(PilotlightError):
    status = 400
    code = "bad_plan_request"
    exit_code = 2


class BenchError(PilotlightError):
    status = 400
    code = "bad_bench_request"
    exit_code = 2


class DeployError(PilotlightError):
    code = "deploy_error"


class DeployLimitError(DeployError):
    status = 400
    code = "deploy_limit"
    exit_code = 2


class StoreError(PilotlightError):
    status = 503
    code = "store_error"


class SourceError(StoreError):
    code = "source_error"


class DigestError(StoreError):
    code = "digest_mismatch"


class DiskFullError(StoreError):
    status = 507
    code = "disk_full"


class ModelFormatError(StoreError):
    code = "bad_model_format"


class EngineError(PilotlightError):
    status = 502
    code = "engine_error"


class EngineMissingError(EngineError):
    status = 503
    code = "engine_missing"


class EngineInstallError(EngineError):
    code = "engine_install"


class EngineOptionError(EngineError):
    status = 400
    code = "engine_option"
    exit_code = 2


class AdapterError(EngineError):
    status = 400
    code = "bad_adapter"


class EngineStartError(EngineError):
    """`last_words` is the end of the engine's own log."""

    status = 503
    code = "engine_start_failed"

    def __init__(self, message: str, *, last_words: str = "", hint: str | None = None) -> None:
        super().__init__(f"{message}: {last_words}" if last_words else message, hint=hint)
        self.last_words = last_words


class EngineCrashedError(EngineError):
    code = "engine_crashed"


class EngineUnreachableError(EngineError):
    """Passes by itself, so a model is never given up for it.

    `sent` is False when the request can't have got there, so nobody can bill for it.
    """

    code = "engine_unreachable"

    def __init__(self, message: str, *, hint: str | None = None, sent: bool = True) -> None:
        super().__init__(message, hint=hint)
        self.sent = sent


class EngineTimeoutError(EngineUnreachableError):
    status = 504
    code = "engine_timeout"


class EngineAnswerError(EngineError):
    code = "bad_engine_answer"


class EngineRefusedError(EngineError):
    code = "engine_refused"


class EngineStalledError(EngineError):
    status = 504
    code = "engine_stalled"


class EngineGoneError(EngineError):
    status = 503
    code = "engine_gone"


class CalibrationError(EngineError):
    """What an engine can do on this machine couldn't be measured."""


class RequestError(PilotlightError):
    status = 400
    code = "invalid_request"

    def __init__(self, message: str, *, param: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.param = param


class MalformedBodyError(RequestError):
    code = "malformed_body"


class FieldError(RequestError):
    """A field at `param` (dotted, with indexes) holds `value`, which is not `expected`."""

    code = "invalid_value"

    def __init__(self, param: str, value: Any, expected: str, *, hint: str | None = None) -> None:
        shown = repr(value)
        if len(shown) > 80:
            shown = shown[:77] + "..."
        super().__init__(f"{param!r} is {shown}, expected {expected}", param=param, hint=hint)


class UnsupportedParameterError(RequestError):
    code = "unsupported_parameter"


class UnsupportedOperationError(RequestError):
    code = "unsupported_operation"


class ContextTooLongError(RequestError):
    code = "context_length_exceeded"


class BodyTooLargeError(RequestError):
    status = 413
    code = "body_too_large"


class AnswerTooLargeError(RequestError):
    status = 413
    code = "answer_too_large"


class HeadersTooLargeError(RequestError):
    status = 431
    code = "headers_too_large"


class UnauthorizedError(RequestError):
    status = 401
    code = "invalid_api_key"


class ForbiddenError(RequestError):
    status = 403
    code = "forbidden"


class UnknownModelError(RequestError):
    status = 404
    code = "model_not_found"
    exit_code = 4


class AdapterConflictError(RequestError):
    status = 409
    code = "adapter_conflict"


class UnknownKeyError(RequestError):
    status = 404
    code = "key_not_found"
    exit_code = 4


class UnknownRouteError(RequestError):
    status = 404
    code = "not_found"


class MethodNotAllowedError(RequestError):
    status = 405
    code = "method_not_allowed"


class CapacityError(PilotlightError):
    """`retry_after_s` is measured or absent; it is never a guess."""

    status = 503
    code = "unavailable"

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class QueueFullError(CapacityError):
    status = 429
    code = "queue_full"


class RateLimitedError(CapacityError):
    status = 429
    code = "rate_limited"


class QueueTimeoutError(CapacityError):
    code = "queue_timeout"


class HoldExceededError(CapacityError):
    code = "model_loading"


class DoesNotFitError(CapacityError):
    status = 507
    code = "does_not_fit"


class AdapterNotReadyError(CapacityError):
    code = "adapter_not_ready"


class FunctionDeadlineError(CapacityError):
    status = 504
    code = "deadline_exceeded"


class DrainingError(CapacityError):
    code = "draining"


class RuntimeApiError(PilotlightError):
    """`fatal` where the platform says that this environment is beyond recovery."""

    status = 502
    code = "lambda_runtime_api"

    def __init__(self, message: str, *, hint: str | None = None, fatal: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.fatal = fatal


class ServerError(PilotlightError):
    code = "server_error"


class ServerUnreachableError(ServerError):
    status = 502
    code = "server_unreachable"
    exit_code = 3


class ServerRefusedError(ServerError):
    """`answer` is the status the server gave."""

    def __init__(self, message: str, answer: int, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.answer = answer
