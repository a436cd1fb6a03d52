# SPDX-License-Identifier: MIT
"""The one exception of this package, with the fields that the daemon's errors have."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Optional, Tuple


class ToolbrokerError(Exception):
    """A request that failed, at the daemon or on the way to it.

    code            UNAVAILABLE, POLICY_DENIED, AUTH_REQUIRED ...: `describe` lists them all
    message         for a developer or a log, in English
    user_message    for a person, in the call's locale
    suggestion      what to do about it
    retryable       whether the same call may succeed later without anything being changed; never
                    true where a repeat could do it twice
    retry_after_ms  when, if that is known; `retry_after` is the same in seconds
    details         facts by code: field, service, auth_url ...
    request_id      as in the daemon's log; "" if the daemon never answered

    Failures of the connection have the same form. UNAVAILABLE: the request was not carried out.
    OUTCOME_UNKNOWN: it was sent and its answer was lost. TIMEOUT: the deadline passed, and the
    daemon was told to cancel. Both are retryable only if the request was not sent, or if the call
    had an `idempotency_key`.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        user_message: str = "",
        suggestion: str = "",
        retryable: bool = False,
        retry_after_ms: Optional[int] = None,
        details: Optional[Dict[str, Any]] = None,
        request_id: str = "",
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.user_message = user_message or message
        self.suggestion = suggestion
        self.retryable = retryable
        self.retry_after_ms = retry_after_ms
        self.details: Dict[str, Any] = details if details is not None else {}
        self.request_id = request_id

    @property
    def retry_after(self) -> Optional[float]:
        """Seconds until another try makes sense; None: not known."""
        return None if self.retry_after_ms is None else self.retry_after_ms / 1000

    def __str__(self) -> str:
        text = f"{self.code}: {self.message}"
        if self.suggestion:
            text += f" - {self.suggestion}"
        return f"{text} [request_id {self.request_id}]" if self.request_id else text

    def __reduce__(self) -> Tuple[Callable[[Dict[str, Any]], "ToolbrokerError"], Tuple[Any, ...]]:
        return (ToolbrokerError.from_wire, (self.as_dict(),))

    def as_dict(self) -> Dict[str, Any]:
        """The error as the daemon writes it."""
        fields: Dict[str, Any] = {
            "code": self.code,
            "message": self.message,
            "user_message": self.user_message,
            "suggestion": self.suggestion,
            "retryable": self.retryable,
        }
        if self.retry_after_ms is not None:
            fields["retry_after_ms"] = self.retry_after_ms
        if self.details:
            fields["details"] = self.details
        fields["request_id"] = self.request_id
        return fields

    @staticmethod
    def from_wire(error: Any) -> "ToolbrokerError":
        """From the error of a response; any value is legal there in MessagePack-RPC."""
        if not isinstance(error, dict):
            return internal(error if isinstance(error, str) else "an error without words")
        after = error.get("retry_after_ms")
        details = error.get("details")
        return ToolbrokerError(
            str(error.get("code", "INTERNAL")),
            str(error.get("message", "")),
            user_message=str(error.get("user_message", "")),
            suggestion=str(error.get("suggestion", "")),
            retryable=error.get("retryable") is True,
            retry_after_ms=int(after) if isinstance(after, (int, float)) else None,
            details=details if isinstance(details, dict) else None,
            request_id=str(error.get("request_id", "")),
        )


def internal(message: str, suggestion: str = "") -> ToolbrokerError:
    return ToolbrokerError("INTERNAL", message, suggestion=suggestion)


def invalid(message: str) -> ToolbrokerError:
    return ToolbrokerError("INVALID_REQUEST", message, suggestion="Correct the call.")


def unavailable(message: str) -> ToolbrokerError:
    return ToolbrokerError(
        "UNAVAILABLE",
        message,
        suggestion="Start toolbrokerd, or name its socket: Client(socket=...) or "
        "$TOOLBROKER_SOCKET.",
        retryable=True,
    )


def no_connection(path: str, error: OSError) -> ToolbrokerError:
    """Why there is no connection to `path`, from what the system said."""
    if isinstance(error, PermissionError):
        return ToolbrokerError(
            "POLICY_DENIED",
            f"this user may not open the socket {path}",
            suggestion="Become a member of the socket's group, or run as its owner.",
        )
    if isinstance(error, (FileNotFoundError, ConnectionRefusedError)):
        return unavailable(f"no daemon: nobody listens at {path}")
    if isinstance(error, BlockingIOError):
        return unavailable(f"the daemon at {path} accepts no connections")
    return unavailable(f"cannot connect to {path}: {error}")


def outcome_unknown() -> ToolbrokerError:
    return ToolbrokerError(
        "OUTCOME_UNKNOWN",
        "the daemon closed the connection before it answered",
        suggestion="Check at the service whether it was done before calling again.",
    )


def timed_out() -> ToolbrokerError:
    """The deadline passed before the request was out."""
    return ToolbrokerError(
        "TIMEOUT",
        "the daemon did not take the request within the deadline",
        suggestion="Call again; `toolbroker status` says how the daemon is.",
        retryable=True,
    )


def unanswered() -> ToolbrokerError:
    """No answer in time: the call may still have been carried out."""
    return ToolbrokerError(
        "TIMEOUT",
        "the daemon did not answer within the deadline",
        suggestion="It was told to cancel, but may have done it: check before calling again, or "
        "give more time.",
    )


def with_key(error: ToolbrokerError, method: str, params: Optional[Mapping[str, Any]]) -> None:
    """An answer that was lost or late is no riddle where the call has an idempotency_key."""
    is_ours = not error.request_id and error.code in ("OUTCOME_UNKNOWN", "TIMEOUT")
    has_key = method == "tools.call" and params is not None and "idempotency_key" in params
    if is_ours and has_key and not error.retryable:
        error.retryable = True
        error.suggestion = (
            "Call again with the same idempotency_key: it is done once, and its first outcome is "
            "the answer."
        )
