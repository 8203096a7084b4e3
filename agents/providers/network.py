"""Which way calls take: proxies of the environment, and errors without an answer."""

import ipaddress
import os
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from urllib.parse import urlsplit

from agents.providers.answers import Fault
from vlbench.records.redaction import redact


@dataclass(frozen=True, slots=True)
class Route:
    """The way to a server."""

    variable: str = ""
    """The environment variable that names a proxy; "" if none does."""
    proxy: str = ""
    """The proxy's address."""
    bypass: str = ""
    """The variable that says that this server is reached without the proxy; "" if none does."""

    def __str__(self) -> str:
        """Return " (through the proxy … of HTTP_PROXY)", or "" where no proxy is set."""
        if not self.variable:
            return ""
        proxy = f"the proxy {redact(self.proxy)} of {self.variable}"
        return f" (without {proxy}, by {self.bypass})" if self.bypass else f" (through {proxy})"


def route_to(url: str) -> Route:
    """Return the way to a server, by the variables that HTTP clients read."""
    parts = urlsplit(url)
    variables = _proxies([parts.scheme, "all"])
    variable, proxy = next(variables, ("", ""))
    if not variable:
        return Route()
    is_bypassed = _is_bypassed(parts.hostname or "")
    return Route(variable, proxy, (_set_variable("no_proxy") or "") if is_bypassed else "")


PACKAGES = {"socksio": "socksio", "socks": "PySocks"}
"""Module for SOCKS proxies → the package that holds it."""


def check_proxies(socks_module: str, connect: Callable[[], object]) -> None:
    """Check that a client can be made under the environment's proxies.

    Args:
        socks_module: What the client needs for SOCKS proxies, a key of PACKAGES.
        connect: Makes a client.

    Raises:
        ValueError: A variable names a proxy of a kind that the client can't use, or is malformed.
    """
    proxies = list(_proxies(["http", "https", "all"]))
    for variable, proxy in proxies:
        if proxy.startswith("socks") and find_spec(socks_module) is None:
            raise ValueError(
                f"{variable} names the SOCKS proxy {redact(proxy)}, which needs a package that is "
                f"missing: pip install {PACKAGES[socks_module]}, or unset {variable}"
            )
    try:
        connect()
    except Exception as error:  # whatever a client raises of a variable that it can't read
        names = [variable for variable, _ in proxies]
        names += filter(None, [_set_variable("no_proxy")])
        if not names:
            raise
        values = ", ".join(f"{name}={redact(os.environ[name])}" for name in names)
        reason = f"{type(error).__name__}: {redact(str(error))}"
        raise ValueError(f"no client can be made with {values}: {reason}") from error


def fault_without_answer(error: BaseException) -> Fault:
    """Return the fault for an error of the transport: no answer came, or none that can be read."""
    causes = list(_causes(error))
    cause = causes[-1] if type(error).__name__ == "APIConnectionError" else error
    message = f"{type(cause).__name__}: {str(cause) or error}"
    names = {type(each).__name__ for each in causes}
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in causes) or (
        "CERTIFICATE_VERIFY_FAILED" in message
    ):
        advice = "set SSL_CERT_FILE to the certificates of your network"
        return Fault(f"{message}; {advice}", codes=["certificate_verify_failed"])
    if names & {"LocalProtocolError", "UnsupportedProtocol", "InvalidURL", "InvalidHeader"} or any(
        isinstance(each, UnicodeEncodeError) for each in causes
    ):
        return Fault(message, codes=["unusable_request"])
    if "ProxyError" in names and "407" in message:
        return Fault(message, codes=["proxy_authentication"])
    return Fault(message)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what caused it."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _set_variable(name: str) -> str | None:
    """Return how a variable is spelt in the environment; None if it isn't set."""
    return next((each for each in (name, name.upper()) if os.environ.get(each)), None)


def _proxies(schemes: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the variables that name proxies, and the proxies' addresses."""
    for scheme in schemes:
        if variable := _set_variable(f"{scheme}_proxy"):
            address = os.environ[variable].strip()
            yield variable, address if "://" in address else f"http://{address}"


def _is_bypassed(host: str) -> bool:
    """Return whether NO_PROXY names a host, its domain, or a network that it is in."""
    variable = _set_variable("no_proxy")
    entries = os.environ[variable].split(",") if variable else []
    return any(_covers(entry.strip().casefold(), host.casefold()) for entry in entries)


def _covers(entry: str, host: str) -> bool:
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        domain = entry.removeprefix("*").removeprefix(".")
        return bool(domain) and f".{host}".endswith(f".{domain}")
