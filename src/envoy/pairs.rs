//! Header maps as the host writes them: how many, the two lengths of each, then each name and value with a zero behind it.

/// Names and values. None: it is no such map, or a name is not UTF-8.
pub(super) fn read(bytes: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let (count, rest) = bytes.split_first_chunk()?;
    let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
    let (lengths, mut rest) = rest.split_at_checked(count.checked_mul(8)?)?;
    let mut pairs = Vec::with_capacity(count);
    let mut take = |length: [u8; 4]| {
        let (text, behind) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(length)).ok()?)?;
        rest = behind.strip_prefix(b"\0")?;
        Some(text.to_vec())
    };
    for [a, b, c, d, e, f, g, h] in lengths.as_chunks().0.iter().copied() {
        pairs.push((String::from_utf8(take([a, b, c, d])?).ok()?, take([e, f, g, h])?));
    }
    Some(pairs)
}

pub(super) fn write(pairs: &[(&str, &str)]) -> Vec<u8> {
    let size = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
    let room = pairs.iter().fold(4_usize, |room, (name, value)| room.saturating_add(name.len() + value.len() + 10));
    let mut bytes = Vec::with_capacity(room);
    bytes.extend_from_slice(&u32::try_from(pairs.len()).unwrap_or(u32::MAX).to_le_bytes());
    for (name, value) in pairs {
        bytes.extend_from_slice(&size(name));
        bytes.extend_from_slice(&size(value));
    }
    for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_is_written_as_the_host_reads_it() {
        assert_eq!(write(&[]), [0, 0, 0, 0]);
        assert_eq!(write(&[("a", "bc")]), *b"\x01\0\0\0\x01\0\0\0\x02\0\0\0a\0bc\0");
    }

    #[test]
    fn what_is_no_map_is_not_read() {
        for bad in [
            &b"\x01"[..],
            b"\x01\0\0\0",
            b"\x01\0\0\0\x01\0\0\0\x02\0\0\0a\0b",
            b"\x01\0\0\0\x01\0\0\0\x02\0\0\0a\0bcd",
            b"\xff\xff\xff\xff\0\0\0\0",
            b"\x01\0\0\0\x01\0\0\0\0\0\0\0\xff\0\0",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
        assert_eq!(read(b""), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(pairs in proptest::collection::vec((".{0,9}", ".{0,9}"), 0..9)) {
            let written = write(&pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>());
            let read = read(&written).unwrap();
            prop_assert_eq!(read, pairs.into_iter().map(|(name, value)| (name, value.into_bytes())).collect::<Vec<_>>());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = read(&bytes);
        }
    }
}
