//! Memory that all workers of one process share, as the core sees it: replayed proofs and rates must be seen by every worker, or
//! a caller has as many tries as there are workers.
//!
//! The host's memory has no deletion, so keys must come from a fixed set (buckets of a hash, not names of callers), and each
//! value must be bounded by who writes it.

use crate::hexadecimal::hexadecimal;
use sha2::{Digest, Sha256};
use std::fmt;

/// Small values by key, each with a version that grows when it is written.
pub trait SharedMemory {
    /// What stands under `key`; None: nothing was ever written there.
    ///
    /// # Errors
    /// [`Unavailable`]: the host did not say.
    fn get(&self, key: &str) -> Result<Option<Versioned>, Unavailable>;

    /// Writes `value` if `key` still has `version` (None: if nothing was ever written there). False: another worker wrote
    /// meanwhile, and nothing has changed.
    ///
    /// # Errors
    /// [`Unavailable`]: the host did not do it.
    fn put(&self, key: &str, value: &[u8], version: Option<u32>) -> Result<bool, Unavailable>;
}

/// A value and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// The value.
    pub value: Vec<u8>,
    /// Its version, to write it again with.
    pub version: u32,
}

/// The memory could not be read or written. Who relies on it must refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unavailable;

impl fmt::Display for Unavailable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the memory that workers share is not available")
    }
}

impl std::error::Error for Unavailable {}

/// The part of the memory that is one gateway's alone. Every key in it begins with the gateway's mark, so that gateways under one
/// `vm_id` know nothing of each other's calls.
#[derive(Clone, Copy)]
pub struct Within<'a> {
    memory: &'a dyn SharedMemory,
    namespace: &'a Namespace,
}

/// The beginning of a gateway's keys: half a SHA-256 of its name, so that no name can reach into another's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace(String);

impl Namespace {
    /// The namespace of the gateway of this name.
    #[must_use]
    pub fn of(gateway: &str) -> Self {
        let digest = Sha256::digest(gateway.as_bytes());
        Self(hexadecimal("rerank-guard/", digest.first_chunk::<16>().map_or(&digest[..], |half| &half[..])))
    }

    /// This part of `memory`.
    #[must_use]
    pub fn within<'a>(&'a self, memory: &'a dyn SharedMemory) -> Within<'a> {
        Within { memory, namespace: self }
    }
}

impl fmt::Debug for Within<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Within").field(self.namespace).finish()
    }
}

impl SharedMemory for Within<'_> {
    fn get(&self, key: &str) -> Result<Option<Versioned>, Unavailable> {
        self.memory.get(&format!("{}/{key}", self.namespace.0))
    }

    fn put(&self, key: &str, value: &[u8], version: Option<u32>) -> Result<bool, Unavailable> {
        self.memory.put(&format!("{}/{key}", self.namespace.0), value, version)
    }
}

/// How often a write is tried again because another worker was faster.
const TRIES: usize = 16;

/// Reads what stands under `key`, lets `change` make the new value and an answer of it, and writes the value; again from the
/// start where another worker wrote meanwhile. `change` returns None as the value to leave what is there.
///
/// # Errors
/// [`Unavailable`]: the host failed, or other workers were faster every time.
pub fn update<T>(
    memory: &dyn SharedMemory,
    key: &str,
    mut change: impl FnMut(&[u8]) -> (Option<Vec<u8>>, T),
) -> Result<T, Unavailable> {
    for _ in 0..TRIES {
        let old = memory.get(key)?;
        let (new, answer) = change(old.as_ref().map_or(&[], |old| &old.value));
        let Some(new) = new else { return Ok(answer) };
        if memory.put(key, &new, old.map(|old| old.version))? {
            return Ok(answer);
        }
    }
    Err(Unavailable)
}

/// The memory of one thread alone: for the operator's tool and for tests.
#[derive(Debug, Default)]
pub struct LocalMemory(std::cell::RefCell<std::collections::HashMap<String, Versioned>>);

impl SharedMemory for LocalMemory {
    fn get(&self, key: &str) -> Result<Option<Versioned>, Unavailable> {
        self.0.try_borrow().map(|slots| slots.get(key).cloned()).map_err(|_| Unavailable)
    }

    fn put(&self, key: &str, value: &[u8], version: Option<u32>) -> Result<bool, Unavailable> {
        let mut slots = self.0.try_borrow_mut().map_err(|_| Unavailable)?;
        if slots.get(key).map(|slot| slot.version) != version {
            return Ok(false);
        }
        let version = version.unwrap_or(0).wrapping_add(1);
        slots.insert(key.to_owned(), Versioned { value: value.to_vec(), version });
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Another worker writes before each of the first `times` writes.
    struct Contended {
        memory: LocalMemory,
        times: Cell<usize>,
    }

    impl SharedMemory for Contended {
        fn get(&self, key: &str) -> Result<Option<Versioned>, Unavailable> {
            self.memory.get(key)
        }

        fn put(&self, key: &str, value: &[u8], version: Option<u32>) -> Result<bool, Unavailable> {
            if let Some(left) = self.times.get().checked_sub(1) {
                self.times.set(left);
                let old = self.memory.get(key)?;
                let mut others = old.as_ref().map_or_else(Vec::new, |old| old.value.clone());
                others.push(b'o');
                assert_eq!(self.memory.put(key, &others, old.map(|old| old.version)), Ok(true));
            }
            self.memory.put(key, value, version)
        }
    }

    fn append(memory: &dyn SharedMemory) -> Result<usize, Unavailable> {
        update(memory, "k", |old| {
            let new = [old, b"m"].concat();
            let length = new.len();
            (Some(new), length)
        })
    }

    #[test]
    fn gateways_under_one_memory_have_nothing_in_common() {
        let memory = LocalMemory::default();
        let names = ["eu1", "eu2", "eu1/x", "", "eu1 "].map(Namespace::of);
        for (number, name) in names.iter().enumerate() {
            assert_eq!(name.within(&memory).get("x/k"), Ok(None));
            assert_eq!(name.within(&memory).put("x/k", &[number as u8], None), Ok(true));
        }
        for (number, name) in names.iter().enumerate() {
            assert_eq!(name.within(&memory).get("x/k").unwrap().unwrap().value, [number as u8]);
        }
        assert_eq!(memory.get("x/k"), Ok(None));
    }

    #[test]
    fn what_other_workers_write_meanwhile_is_never_lost() {
        let memory = Contended { memory: LocalMemory::default(), times: Cell::new(3) };
        assert_eq!(append(&memory), Ok(4));
        assert_eq!(memory.get("k").unwrap().unwrap().value, b"ooom");
    }

    #[test]
    fn a_write_that_is_never_the_first_is_given_up() {
        let memory = Contended { memory: LocalMemory::default(), times: Cell::new(1000) };
        assert_eq!(append(&memory), Err(Unavailable));
    }

    #[test]
    fn a_new_slot_is_made_only_once() {
        let memory = LocalMemory::default();
        assert_eq!(memory.put("k", b"a", None), Ok(true));
        assert_eq!(memory.put("k", b"b", None), Ok(false));
        assert_eq!(memory.put("k", b"b", Some(7)), Ok(false));
        assert_eq!(memory.get("k").unwrap().unwrap().value, b"a");
    }
}
