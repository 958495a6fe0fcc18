//! Points in time and spans, as the documents write them (RFC 3339, `10m`) and as the rooms compare them. The core has no clock:
//! every function that needs the time is told it.
//!
//! ```
//! use rerank_guard::time::{Span, Time};
//!
//! let start = Time::parse("2027-01-31T08:00:00Z").unwrap();
//! let span = Span::parse("10m").unwrap();
//! assert_eq!(start.plus(span).since(start), span);
//! assert_eq!(Span::parse("10 minutes"), None);
//! ```

use serde::{Deserialize, Deserializer, de::Error as _};
use std::fmt;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub u64);

impl Time {
    /// From whole seconds since the epoch.
    #[must_use]
    pub fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub fn secs(self) -> u64 {
        self.0 / 1000
    }

    /// This point moved forward.
    #[must_use]
    pub fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// How long it is from `earlier` to this point; nothing when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// Reads `2027-01-31T08:00:00Z`, with fractions of a second and offsets, or a day, `2027-01-31`, which means its first
    /// moment in UTC. None for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (day, rest) = (text.get(..10)?, text.get(10..)?);
        let days = parse_day(day)?;
        let mut ms = days.checked_mul(86_400_000)?;
        if !rest.is_empty() {
            ms = ms.checked_add(parse_clock(rest)?)?;
        }
        u64::try_from(ms).ok().map(Self)
    }
}

/// RFC 3339 in UTC with milliseconds: `2026-11-23T18:50:17.123Z`.
impl fmt::Display for Time {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Some(text) => out.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?),
            None => {
                let [year, month, day, hour, minute, second, milli] = self.parts();
                write!(out, "{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
            }
        }
    }
}

impl Time {
    /// As it is displayed, in ASCII; None after the year 9999. Every record has one, and formatting seven numbers costs as much as
    /// the rest of its line.
    pub(crate) fn text(self) -> Option<[u8; 24]> {
        let [year, month, day, hour, minute, second, milli] = self.parts();
        if year > 9999 {
            return None;
        }
        let mut text = *b"0000-00-00T00:00:00.000Z";
        for (number, last) in [(year, 3), (month, 6), (day, 9), (hour, 12), (minute, 15), (second, 18), (milli, 22)] {
            let (mut number, mut at) = (number, last);
            while number > 0 {
                if let Some(digit) = text.get_mut(at) {
                    *digit = b'0' + (number % 10) as u8;
                }
                (number, at) = (number / 10, at.wrapping_sub(1));
            }
        }
        Some(text)
    }

    /// Year, month, day, hour, minute, second and millisecond, in UTC.
    fn parts(self) -> [u64; 7] {
        let (days, ms) = (self.0 / 86_400_000, self.0 % 86_400_000);
        let (year, month, day) = civil(days);
        [year, month, day, ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000]
    }
}

impl serde::Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let text = String::deserialize(reader)?;
        Self::parse(&text)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is no date: write 2027-01-31 or 2027-01-31T08:00:00Z")))
    }
}

/// A length of time in milliseconds, written `250ms`, `10s`, `5m`, `2h` or `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(pub u64);

impl Span {
    /// From whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Whole seconds, rounded up, as `Retry-After` wants them.
    #[must_use]
    pub fn secs_up(self) -> u64 {
        self.0.div_ceil(1000)
    }

    /// As the standard library's duration.
    #[must_use]
    pub const fn duration(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }

    /// Reads `250ms`, `10s`, `5m`, `2h` or `7d`. None for anything else, also where it would overflow.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = text.get(..digits)?.parse().ok()?;
        let unit = match text.get(digits..)? {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        number.checked_mul(unit).map(Self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let text = String::deserialize(reader)?;
        Self::parse(&text)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is no span: write 250ms, 10s, 5m, 2h or 7d")))
    }
}

fn number(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Days from the epoch to `YYYY-MM-DD`, 1970 at the earliest.
fn parse_day(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 || month.len() != 2 || day.len() != 2 {
        return None;
    }
    let (year, month, day) = (number(year)?, number(month)?, number(day)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=last).contains(&day) || year < 1970 {
        return None;
    }
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil; years count from March.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// The date of a day counted from the epoch: the inverse of [`parse_day`] (Hinnant's civil_from_days).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days.saturating_add(719_468);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let (month, carry) = if shifted < 10 { (shifted + 3, 0) } else { (shifted - 9, 1) };
    (year + era * 400 + carry, month, day)
}

/// Milliseconds of `T08:00:00.5+02:00`, counted from midnight UTC of the written day, so possibly negative.
fn parse_clock(text: &str) -> Option<i64> {
    let text = text.strip_prefix(['T', 't'])?;
    let (clock, rest) = (text.get(..8)?, text.get(8..)?);
    let mut parts = clock.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    if hour.len() != 2 || minute.len() != 2 || second.len() != 2 {
        return None;
    }
    let (hour, minute, second) = (number(hour)?, number(minute)?, number(second)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if !(1..=9).contains(&digits) {
                return None;
            }
            let milli: String = rest.get(..digits)?.chars().chain("00".chars()).take(3).collect();
            (number(&milli)?, rest.get(digits..)?)
        }
        None => (0, rest),
    };
    let offset = match zone {
        "Z" | "z" => 0,
        _ => {
            let sign = if zone.starts_with('+') {
                1
            } else if zone.starts_with('-') {
                -1
            } else {
                return None;
            };
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            if hours.len() != 2 || minutes.len() != 2 {
                return None;
            }
            let (hours, minutes) = (number(hours)?, number(minutes)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            sign * (hours * 60 + minutes)
        }
    };
    Some(((hour * 60 + minute - offset) * 60 + second) * 1000 + fraction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Expected seconds from `date -u -d … +%s`.
    #[test]
    fn dates_are_read_as_the_date_command_reads_them() {
        for (text, ms) in [
            ("1970-01-01", 0),
            ("2000-02-29T12:00:00Z", 951_825_600_000),
            ("2026-11-23T18:50:17.123Z", 1_795_459_817_123),
            ("2027-01-31", 1_801_353_600_000),
            ("2027-01-31T01:30:00+02:00", 1_801_351_800_000),
            ("2100-03-01T00:00:00-00:30", 4_107_544_200_000),
        ] {
            assert_eq!(Time::parse(text), Some(Time(ms)), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "2027",
            "2027-13-01",
            "2027-02-29",
            "2027-00-10",
            "1969-12-31",
            "2027-1-1",
            "2027-01-01T",
            "2027-01-01T24:00:00Z",
            "2027-01-01T00:00:00",
            "2027-01-01T00:00:60Z",
            "2027-01-01 00:00:00Z",
            "2027-01-01T00:00:00.Z",
            "+027-01-01",
            "2027-01-0é",
            "1970-01-01T00:00:00+00:01",
            "2027-01-01T00:00:00+0100",
        ] {
            assert_eq!(Time::parse(text), None, "{text}");
        }
    }

    #[test]
    fn spans_are_read_in_their_units_and_nothing_else() {
        for (text, ms) in
            [("0s", 0), ("250ms", 250), ("10s", 10_000), ("5m", 300_000), ("2h", 7_200_000), ("7d", 604_800_000)]
        {
            assert_eq!(Span::parse(text), Some(Span(ms)), "{text}");
        }
        for text in ["", "10", "s", "-1s", "1.5s", "1w", "99999999999999999999s", "999999999999999999d", "1 s"] {
            assert_eq!(Span::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(ms in 0u64..253_402_300_799_999) {
            prop_assert_eq!(Time::parse(&Time(ms).to_string()), Some(Time(ms)));
        }

        #[test]
        fn whatever_comes_is_judged_without_a_panic(text in "\\PC{0,40}") {
            let _ = (Time::parse(&text), Span::parse(&text));
        }
    }
}
