//! Streams, cut anywhere.

use rerank_guard::mask::{Framing, Kept, Masks, Records, Unmaskable, With, mask_json};

/// The largest record: below the longest input, so that too large ones are met.
const MOST: usize = 1024;

/// The first byte chooses the replacement and the framing, the two next where the stream is cut; the rest is the stream. Where it is
/// cut means nothing, lines leave as each would by itself, and what leaves has no finding.
pub fn check(data: &[u8]) {
    let [choice, one, other, stream @ ..] = data else { return };
    let masks = crate::masks(*choice);
    let framing = if choice & 4 == 0 { Framing::Lines } else { Framing::Events };
    let (whole, why) = run(framing, &[stream], &masks);
    let place = |at: &u8| usize::from(*at).min(stream.len());
    let (one, other) = (place(one).min(place(other)), place(one).max(place(other)));
    let thirds = [&stream[..one], &stream[one..other], &stream[other..]];
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    for chunks in [&thirds[..], &bytes] {
        let (pieces, other_why) = run(framing, chunks, &masks);
        assert_eq!(why.is_none(), other_why.is_none(), "whole {why:?}, in pieces {other_why:?}");
        // Of a stream that breaks off, as much leaves as was masked by then; in smaller pieces that is more.
        assert!(pieces.starts_with(&whole), "what left first is not what leaves of it whole");
        assert!(why.is_some() || pieces.len() == whole.len(), "more leaves in pieces");
        clean(framing, &pieces, &masks);
    }
    clean(framing, &whole, &masks);
    if framing == Framing::Lines && why.is_none() {
        assert_eq!(String::from_utf8(whole).expect("what leaves is UTF-8"), by_line(stream, &masks));
    }
}

/// What leaves of a stream in these chunks, and why no more does.
fn run(framing: Framing, chunks: &[&[u8]], masks: &Masks) -> (Vec<u8>, Option<Unmaskable>) {
    let kept = Kept::compile(&["/index"]).expect("a pattern");
    let with = With { masks, kept: &kept, secrets: &[], most: usize::MAX };
    let mut records = Records::new(framing, MOST);
    let mut out = Vec::new();
    for chunk in chunks {
        match records.push(chunk, with) {
            Ok(more) => out.extend(more),
            Err(why) => return (out, Some(why)),
        }
    }
    match records.finish(with) {
        Ok(more) => out.extend(more),
        Err(why) => return (out, Some(why)),
    }
    (out, None)
}

/// What left is whole records without a finding.
fn clean(framing: Framing, left: &[u8], masks: &Masks) {
    let kept = Kept::compile(&["/index"]).expect("a pattern");
    let with = With { masks, kept: &kept, secrets: &[], most: usize::MAX };
    // A label can be longer than what it stands for.
    let mut records = Records::new(framing, MOST * 64);
    let again = records.push(left, with).and_then(|_| records.finish(with));
    assert!(again.is_ok(), "what left cannot be masked: {again:?} in {}", String::from_utf8_lossy(left));
    assert!(records.found().is_empty(), "{:?} is left in {}", records.found(), String::from_utf8_lossy(left));
}

fn by_line(stream: &[u8], masks: &Masks) -> String {
    let kept = Kept::compile(&["/index"]).expect("a pattern");
    let line = |line: &[u8]| {
        if line.trim_ascii().is_empty() {
            return line.to_vec();
        }
        let masked = mask_json(line, masks, &kept, &[]).expect("a line that left");
        masked.body().unwrap_or(line).to_vec()
    };
    let lines: Vec<Vec<u8>> = stream.split(|byte| *byte == b'\n').map(line).collect();
    String::from_utf8(lines.join(&b'\n')).expect("what leaves is UTF-8")
}
