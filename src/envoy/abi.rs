//! The functions that Envoy offers a module (proxy-wasm, ABI 0.2.1), as `Result`s over bytes. All unsafe code is here.
//!
//! There is a public SDK, which this takes the place of for two reasons. It borrows every stream of the VM while one of them is
//! called, and some host calls make Envoy answer by itself, and call back, before they return: the SDK panics then, and Envoy faults
//! in the middle of its own call. And it panics on every status it does not know, where here is an error.
#![expect(
    unsafe_code,
    reason = "the host is called, and calls back, over a C ABI; memory changes hands by address and size"
)]

use super::pairs;
use crate::metrics::Counter;
use std::ptr::{null, null_mut};
use std::time::Duration;

/// What a callback of a message tells the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Action {
    /// This part goes on.
    Continue = 0,
    /// It is kept in Envoy's buffer.
    Pause = 1,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum BufferType {
    HttpRequestBody = 0,
    HttpResponseBody = 1,
    HttpCallResponseBody = 4,
    PluginConfiguration = 7,
}

#[expect(clippy::enum_variant_names, reason = "as the ABI calls them")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum MapType {
    HttpRequestHeaders = 0,
    HttpRequestTrailers = 1,
    HttpResponseHeaders = 2,
    HttpResponseTrailers = 3,
    HttpCallResponseHeaders = 6,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum LogLevel {
    Info = 2,
    Warn = 3,
    Error = 4,
    Critical = 5,
}

/// Why the host did not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    NotFound,
    CasMismatch,
    Other,
}

const REQUEST: u32 = 0;
const COUNTER: u32 = 0;
/// Callouts and replies that are no gRPC say so.
const NO_GRPC: i32 = -1;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, data: *const u8, size: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_buffer_bytes(kind: u32, start: usize, most: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_buffer_bytes(kind: u32, start: usize, length: usize, data: *const u8, size: usize) -> u32;
    fn proxy_get_header_map_pairs(kind: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_header_map_pairs(kind: u32, data: *const u8, size: usize) -> u32;
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_property(path: *const u8, path_size: usize, data: *const u8, size: usize) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        version: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(key: *const u8, key_size: usize, data: *const u8, size: usize, version: u32) -> u32;
    fn proxy_continue_stream(kind: u32) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc: i32,
    ) -> u32;
    fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        argument: *const u8,
        argument_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, by: i64) -> u32;
}

const fn done(status: u32) -> Result<(), Status> {
    match status {
        0 => Ok(()),
        1 => Err(Status::NotFound),
        8 => Err(Status::CasMismatch),
        _ => Err(Status::Other),
    }
}

/// The host puts what it hands over into memory that it asks [`proxy_on_memory_allocate`] for.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    Box::into_raw(Box::<[u8]>::new_uninit_slice(size)).cast()
}

/// What the host hands over.
struct Handed {
    data: *mut u8,
    size: usize,
}

impl Handed {
    const NOTHING: Self = Self { data: null_mut(), size: 0 };

    /// None: the host handed over nothing.
    fn take(self) -> Option<Vec<u8>> {
        // SAFETY: the host got `data` from `proxy_on_memory_allocate`, for `size` bytes, wrote all of them, and keeps no hold on it.
        (!self.data.is_null()).then(|| unsafe { Vec::from_raw_parts(self.data, self.size, self.size) })
    }
}

/// Asks the host for bytes.
fn ask(question: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Option<Vec<u8>>, Status> {
    let mut handed = Handed::NOTHING;
    done(question(&raw mut handed.data, &raw mut handed.size))?;
    Ok(handed.take())
}

pub(super) fn log(level: LogLevel, message: &str) {
    // SAFETY: the host reads so many bytes from there before it returns. So below, wherever a pointer and a length go together.
    let _ = unsafe { proxy_log(level as u32, message.as_ptr(), message.len()) };
}

/// Nanoseconds since 1970.
pub(super) fn time() -> Option<u64> {
    let mut time = 0;
    // SAFETY: the host writes one number there before it returns. So below.
    done(unsafe { proxy_get_current_time_nanoseconds(&raw mut time) }).ok().map(|()| time)
}

pub(super) fn set_tick_period(period: Duration) -> Result<(), Status> {
    // SAFETY: numbers only.
    done(unsafe { proxy_set_tick_period_milliseconds(u32::try_from(period.as_millis()).unwrap_or(u32::MAX)) })
}

/// At most `most` bytes of a buffer. None: there is no such buffer, or nothing in it.
pub(super) fn get_buffer(kind: BufferType, most: usize) -> Result<Option<Vec<u8>>, Status> {
    // SAFETY: the host writes an address and a size there before it returns. So below, wherever something is asked for.
    match ask(|data, size| unsafe { proxy_get_buffer_bytes(kind as u32, 0, most, data, size) }) {
        Err(Status::NotFound) => Ok(None),
        answer => answer,
    }
}

/// Puts `bytes` in the place of all that is in a buffer. Where they are more than Envoy's buffer may hold, Envoy answers the caller
/// by itself, and calls back into the stream, before this returns.
pub(super) fn set_buffer(kind: BufferType, bytes: &[u8]) -> Result<(), Status> {
    /// The host cuts it to what there is.
    const ALL: usize = 0x7fff_ffff;
    // SAFETY: as in `log`.
    done(unsafe { proxy_set_buffer_bytes(kind as u32, 0, ALL, bytes.as_ptr(), bytes.len()) })
}

/// All headers or trailers. Err: the host did not give them, or they cannot be read.
pub(super) fn get_map(kind: MapType) -> Result<Vec<(String, Vec<u8>)>, Status> {
    // SAFETY: as in `get_buffer`.
    let all = ask(|data, size| unsafe { proxy_get_header_map_pairs(kind as u32, data, size) })?;
    pairs::read(&all.unwrap_or_default()).ok_or(Status::Other)
}

/// Puts headers or trailers in the place of all there are.
pub(super) fn set_map(kind: MapType, headers: &[(&str, &str)]) -> Result<(), Status> {
    let headers = pairs::write(headers);
    // SAFETY: as in `log`.
    done(unsafe { proxy_set_header_map_pairs(kind as u32, headers.as_ptr(), headers.len()) })
}

/// An attribute. None: there is none.
pub(super) fn get_property(path: &[&str]) -> Option<Vec<u8>> {
    let path = path.join("\0");
    // SAFETY: as in `get_buffer`.
    ask(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) }).ok()?
}

/// Leaves `value` in filter state, under `wasm.` and `name`.
pub(super) fn set_property(name: &str, value: &[u8]) -> Result<(), Status> {
    // SAFETY: as in `log`.
    done(unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

/// A slot of shared memory and its version. None: there is none of this key.
pub(super) fn get_shared_data(key: &str) -> Result<Option<(Vec<u8>, u32)>, Status> {
    let mut version = 0;
    // SAFETY: as in `get_buffer`.
    match ask(|data, size| unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut version) }) {
        Err(Status::NotFound) => Ok(None),
        Ok(value) => Ok(Some((value.unwrap_or_default(), version))),
        Err(why) => Err(why),
    }
}

pub(super) fn set_shared_data(key: &str, value: &[u8], version: u32) -> Result<(), Status> {
    // SAFETY: as in `log`.
    done(unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), version) })
}

/// Lets a held request go on, once the callback has returned.
pub(super) fn continue_request() -> Result<(), Status> {
    // SAFETY: numbers only.
    done(unsafe { proxy_continue_stream(REQUEST) })
}

/// Answers the caller, once the callback has returned.
pub(super) fn send_response(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Result<(), Status> {
    let headers = pairs::write(headers);
    // SAFETY: as in `log`; the details are none.
    done(unsafe {
        proxy_send_local_response(
            status.into(),
            null(),
            0,
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            NO_GRPC,
        )
    })
}

/// Sends a request to a cluster; gives the token that its answer will name.
pub(super) fn http_call(
    cluster: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    timeout: Duration,
) -> Result<u32, Status> {
    let (headers, trailers) = (pairs::write(headers), pairs::write(&[]));
    let timeout = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
    let mut token = 0;
    // SAFETY: as in `log` and `time`.
    let status = unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            trailers.as_ptr(),
            trailers.len(),
            timeout,
            &raw mut token,
        )
    };
    done(status).map(|()| token)
}

/// Names the stream that host calls from here on are about.
pub(super) fn set_effective_context(context: u32) -> Result<(), Status> {
    // SAFETY: numbers only.
    done(unsafe { proxy_set_effective_context(context) })
}

pub(super) fn call_foreign_function(name: &str, argument: &[u8]) -> Result<Option<Vec<u8>>, Status> {
    let (name, size) = (name.as_bytes(), argument.len());
    // SAFETY: as in `log` and `get_buffer`.
    ask(|data, out| unsafe {
        proxy_call_foreign_function(name.as_ptr(), name.len(), argument.as_ptr(), size, data, out)
    })
}

/// Only [`Counter`]s can be defined: what is counted is on the list of them.
pub(super) fn define_counter(counter: &Counter) -> Option<u32> {
    let (name, mut id) = (counter.name(), 0);
    // SAFETY: as in `log` and `time`.
    done(unsafe { proxy_define_metric(COUNTER, name.as_ptr(), name.len(), &raw mut id) }).ok().map(|()| id)
}

pub(super) fn increment(id: u32, by: u32) -> Result<(), Status> {
    // SAFETY: numbers only.
    done(unsafe { proxy_increment_metric(id, by.into()) })
}

/// The events that Envoy tells. What they mean stands in [`super::dispatch`].
mod exports {
    use super::super::dispatch;
    use super::Action;

    unsafe extern "C" {
        /// What was linked in to run before anything else.
        fn __wasm_call_ctors();
    }

    #[unsafe(no_mangle)]
    extern "C" fn proxy_abi_version_0_2_1() {}

    #[unsafe(no_mangle)]
    extern "C" fn _initialize() {
        // SAFETY: the host calls this once, before all else.
        unsafe { __wasm_call_ctors() };
        dispatch::begin();
    }

    #[unsafe(no_mangle)]
    extern "C" fn proxy_on_vm_start(_: u32, _: u32) -> u32 {
        1
    }

    #[unsafe(no_mangle)]
    extern "C" fn proxy_on_context_create(context: u32, root: u32) {
        dispatch::create(context, root);
    }

    #[unsafe(no_mangle)]
    extern "C" fn proxy_on_configure(root: u32, _: u32) -> u32 {
        dispatch::configure(root).into()
    }

    #[unsafe(no_mangle)]
    extern "C" fn proxy_on_tick(root: u32) {
        dispatch::tick(root);
    }

    #[unsafe(no_mangle)]
    extern "C" fn proxy_on_request_headers(context: u32, _: u32, end: u32) -> Action {
        dispatch::message(context, |stream| stream.request_headers(end != 0))
    }

    #[unsafe(no_mangle)]
    extern "C" fn proxy_on_request_body(context: u32, size: usize, end: u32) -> Action {
        dispatch::message(context, |stream| stream.request_body(size, end != 0))
    }

    #[unsafe(no_mangle)]
    extern "C" fn proxy_on_request_trailers(context: u32, _: u32) -> Action {
        dispatch::message(context, |stream| stream.request_trailers())
    }

    #[unsafe(no_mangle)]
    extern "C" fn proxy_on_response_headers(context: u32, _: u32, end: u32) -> Action {
        dispatch::message(context, |stream| stream.response_headers(end != 0))
    }

    #[unsafe(no_mangle)]
    extern "C" fn proxy_on_response_body(context: u32, size: usize, end: u32) -> Action {
        dispatch::message(context, |stream| stream.response_body(size, end != 0))
    }

    #[unsafe(no_mangle)]
    extern "C" fn proxy_on_response_trailers(context: u32, _: u32) -> Action {
        dispatch::message(context, |stream| stream.response_trailers())
    }

    #[unsafe(no_mangle)]
    extern "C" fn proxy_on_http_call_response(_: u32, token: u32, _: u32, size: usize, _: u32) {
        dispatch::answer(token, size);
    }

    #[unsafe(no_mangle)]
    extern "C" fn proxy_on_done(_: u32) -> u32 {
        1
    }

    #[unsafe(no_mangle)]
    extern "C" fn proxy_on_log(context: u32) {
        dispatch::log(context);
    }

    #[unsafe(no_mangle)]
    extern "C" fn proxy_on_delete(context: u32) {
        dispatch::delete(context);
    }
}
