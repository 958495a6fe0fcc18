//! What the module asks of its host, in its own terms.

use super::abi::{self, BufferType, LogLevel, MapType, Status};
use crate::caller::{Hash, NativeSignatures};
use crate::exchange::{CallOut, Certificate, Edits, Headers, Host, Reply};
use crate::hexadecimal::hexadecimal;
use crate::shared::{SharedMemory, Unavailable, Versioned};
use crate::time::Time;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Whole buffers are asked for with this size; the host cuts it to what there is.
const ALL: usize = 0x7fff_ffff;

pub(super) fn now() -> Time {
    // Without a clock it is 1970: no token was issued yet, so none is accepted.
    Time(abi::time().map_or(0, |nanoseconds| nanoseconds / 1_000_000))
}

/// Lines go to Envoy's log.
pub(super) struct Log;

pub(super) static LOG: Log = Log;

impl log::Log for Log {
    fn enabled(&self, line: &log::Metadata<'_>) -> bool {
        line.level() <= log::max_level()
    }

    fn log(&self, line: &log::Record<'_>) {
        if self.enabled(line.metadata()) {
            let level = match line.level() {
                log::Level::Error => LogLevel::Error,
                log::Level::Warn => LogLevel::Warn,
                log::Level::Info | log::Level::Debug | log::Level::Trace => LogLevel::Info,
            };
            abi::log(level, &line.args().to_string());
        }
    }

    fn flush(&self) {}
}

pub(super) fn random() -> u64 {
    jwt_simple::reexports::rand::random()
}

/// Names a decision: 32 hexadecimal digits.
pub(super) fn decision_id() -> String {
    hexadecimal("", &jwt_simple::reexports::rand::random::<[u8; 16]>())
}

pub(super) fn headers(map: MapType) -> Headers {
    Headers::new(abi::get_map(map).unwrap_or_default())
}

/// The whole of a buffered body. None: the host did not give it, and an empty body is something else.
pub(super) fn body(buffer: BufferType) -> Option<Vec<u8>> {
    abi::get_buffer(buffer, ALL).ok().map(Option::unwrap_or_default)
}

/// Puts the headers of a held message in the place of those it has. One call for all headers costs less than one for each, and what is
/// not written stays nowhere. False: the host refused, so the message must not go on.
pub(super) fn edit(map: MapType, edits: &Edits) -> bool {
    let headers: Vec<_> = edits.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    abi::set_map(map, &headers).is_ok()
}

/// Puts `body` in the place of all that is buffered. False: the host refused. Where it is more than Envoy's buffer may hold, Envoy
/// answers and calls back before this returns, so nothing may be borrowed here.
pub(super) fn replace(buffer: BufferType, body: &[u8]) -> bool {
    abi::set_buffer(buffer, body).is_ok()
}

/// Takes all trailers off a held message.
pub(super) fn drop_trailers(map: MapType) -> bool {
    abi::set_map(map, &[]).is_ok()
}

pub(super) fn reply(reply: &Reply) -> bool {
    let headers: Vec<_> = reply.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    abi::send_response(reply.status, &headers, &reply.body).is_ok()
}

/// Sends a request. None: it failed at once (unknown cluster), and no answer will come.
pub(super) fn call_out(out: &CallOut) -> Option<u32> {
    let mut headers = vec![(":method", "POST"), (":path", out.path.as_str()), (":authority", out.authority.as_str())];
    headers.extend(out.headers.iter().map(|(name, value)| (*name, value.as_str())));
    abi::http_call(&out.cluster, &headers, &out.body, out.timeout.duration()).ok()
}

/// Sends a `GET`. `tag`: for `if-none-match`. None: it failed at once (unknown cluster), and no answer will come.
pub(super) fn get(cluster: &str, authority: &str, path: &str, tag: Option<&str>, timeout: Duration) -> Option<u32> {
    let mut headers =
        vec![(":method", "GET"), (":path", path), (":authority", authority), ("accept", "application/json")];
    headers.extend(tag.map(|tag| ("if-none-match", tag)));
    abi::http_call(cluster, &headers, &[], timeout).ok()
}

/// A callout's answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) tag: Option<String>,
    /// None: it is larger than it may be, and was not read.
    pub(super) body: Option<Vec<u8>>,
}

/// A callout's answer, with a body of `most` bytes at most. None: there was none. `size`: the body's, as the host told it.
pub(super) fn answer_of(size: usize, most: usize) -> Option<Answer> {
    let headers = headers(MapType::HttpCallResponseHeaders);
    let status = headers.one(":status")?.parse().ok()?;
    let tag = headers.one("etag").map(str::to_owned);
    if size > most {
        return Some(Answer { status, tag, body: None });
    }
    let body = abi::get_buffer(BufferType::HttpCallResponseBody, size).ok()?;
    Some(Answer { status, tag, body: Some(body.unwrap_or_default()) })
}

/// Status and body of a callout's answer. None: there was none, or it is larger than any key set and any receipt.
pub(super) fn answer(size: usize) -> Option<(u16, Vec<u8>)> {
    let answer = answer_of(size, MOST_OF_AN_ANSWER)?;
    Some((answer.status, answer.body?))
}

/// No key set and no receipt is larger.
const MOST_OF_AN_ANSWER: usize = 1 << 20;

/// Filter state that Envoy's access loggers print with `%FILTER_STATE(wasm.rerank_guard_record:PLAIN)%`.
pub(super) fn leave_record(record: &str) {
    let _ = abi::set_property("rerank_guard_record", record.as_bytes());
}

/// Filter state that the filter behind this one holds Envoy's route against, after it was chosen anew: see docs/envoy.md. False: the host
/// refused, so that the filter behind would refuse too.
pub(super) fn hold_to(cluster: &str) -> bool {
    abi::set_property("rerank_guard_cluster", cluster.as_bytes()).is_ok()
}

/// What Envoy knows of a request's connection.
pub(super) struct Envoy;

impl Host for Envoy {
    fn signatures(&self) -> &dyn NativeSignatures {
        &Native
    }

    fn source(&self) -> Option<Vec<u8>> {
        let address: SocketAddr = text(&["source", "address"])?.parse().ok()?;
        Some(match address.ip() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().into_iter().take(8).collect(),
        })
    }

    fn certificate(&self) -> Option<Certificate> {
        let digest = text(&["connection", "sha256_peer_certificate_digest"])?;
        Some(Certificate {
            sha256: from_hexadecimal(&digest)?,
            uri: text(&["connection", "uri_san_peer_certificate"]),
            dns: text(&["connection", "dns_san_peer_certificate"]),
        })
    }

    fn route(&self) -> Option<String> {
        text(&["xds", "route_name"])
    }

    fn cluster(&self) -> Option<String> {
        text(&["xds", "cluster_name"])
    }

    fn was_held_back(&self) -> bool {
        text(&["response", "code_details"]).is_some_and(|details| details.starts_with("rbac_access_denied"))
    }

    fn shared(&self) -> &dyn SharedMemory {
        &Shared
    }

    fn peer(&self) -> Option<String> {
        text(&["source", "address"])
    }

    fn details(&self) -> Option<String> {
        text(&["response", "code_details"])
    }

    fn status(&self) -> Option<u16> {
        number(&["response", "code"]).and_then(|status| u16::try_from(status).ok()).filter(|status| *status != 0)
    }

    fn may_have_reached_upstream(&self) -> bool {
        // An address of ours is there once the last attempt has a connection. What came of attempts before it is not told.
        number(&["upstream", "request_attempt_count"]).is_none_or(|attempts| attempts > 1)
            || text(&["upstream", "local_address"]).is_some()
    }
}

/// Envoy's shared data: one map for all VMs of the process with this `vm_id`.
struct Shared;

/// No slot ever has this version, so a write with it succeeds only where there is no slot yet. (Without a version the host
/// overwrites whatever is there, and a slot that is not there takes a write with any version.)
const NO_VERSION: u32 = u32::MAX;

impl SharedMemory for Shared {
    fn get(&self, key: &str) -> Result<Option<Versioned>, Unavailable> {
        match abi::get_shared_data(key) {
            Ok(slot) => Ok(slot.map(|(value, version)| Versioned { value, version })),
            Err(_) => Err(Unavailable),
        }
    }

    fn put(&self, key: &str, value: &[u8], version: Option<u32>) -> Result<bool, Unavailable> {
        match abi::set_shared_data(key, value, version.unwrap_or(NO_VERSION)) {
            Ok(()) => Ok(true),
            Err(Status::CasMismatch) => Ok(false),
            Err(_) => Err(Unavailable),
        }
    }
}

/// A property that is text and not empty.
fn text(path: &[&str]) -> Option<String> {
    let bytes = abi::get_property(path)?;
    String::from_utf8(bytes).ok().filter(|text| !text.is_empty())
}

/// A property that is a whole number.
fn number(path: &[&str]) -> Option<i64> {
    let bytes = abi::get_property(path)?;
    Some(i64::from_le_bytes(*bytes.as_array()?))
}

fn from_hexadecimal(digits: &str) -> Option<[u8; 32]> {
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// Envoy's own `verify_signature` (BoringSSL), some thirty times faster than the same in wasm.
struct Native;

impl NativeSignatures for Native {
    fn verify(&self, hash: Hash, spki_der: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
        let name: &[u8] = match hash {
            Hash::Sha256 => b"sha256",
            Hash::Sha384 => b"sha384",
            Hash::Sha512 => b"sha512",
        };
        let mut message = Vec::with_capacity(text.len().saturating_add(1024));
        for (field, value) in [(1u8, name), (2, spki_der), (3, signature), (4, text)] {
            // A length-delimited protobuf field: its number and wire type 2, the length as a varint, the bytes.
            message.push(field << 3 | 2);
            let mut length = value.len();
            while length > 0x7f {
                message.push((length & 0x7f) as u8 | 0x80);
                length >>= 7;
            }
            message.push(length as u8);
            message.extend_from_slice(value);
        }
        match abi::call_foreign_function("verify_signature", &message) {
            // Only `result: true` and nothing else is a proof.
            Ok(answer) => Some(answer.as_deref() == Some(&[0x08, 0x01])),
            Err(Status::NotFound) => None,
            Err(_) => Some(false),
        }
    }
}
