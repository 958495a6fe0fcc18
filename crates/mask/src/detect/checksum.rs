//! Check digits that more than one kind of number has. All take digit values, 0 to 9.

/// The sum of the digits times the weights. Digits without a weight are left out.
pub(super) fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| u32::from(*digit) * weight).sum()
}

/// The digits as a number.
pub(super) fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |number, digit| number * 10 + u64::from(*digit))
}

/// The last digit.
pub(super) fn last(digits: &[u8]) -> u32 {
    digits.last().map_or(0, |digit| u32::from(*digit))
}

/// Whether all digits are the same.
pub(super) fn is_one_digit(digits: &[u8]) -> bool {
    digits.iter().all(|digit| Some(digit) == digits.first())
}

/// ISO/IEC 7812-1 annex B (Luhn).
pub(crate) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(position, &digit)| if position % 2 == 0 { u32::from(digit) } else { twice(digit) })
        .sum();
    sum.is_multiple_of(10)
}

/// What a digit counts that is doubled (ISO/IEC 7812-1 annex B): the sum of the digits of its double.
pub(super) const fn twice(digit: u8) -> u32 {
    let doubled = digit as u32 * 2;
    if doubled > 9 { doubled - 9 } else { doubled }
}

/// ISO 7064 mod 11,10.
pub(super) fn mod_11_10(digits: &[u8]) -> bool {
    let Some((check, digits)) = digits.split_last() else { return false };
    let product = digits.iter().fold(10, |product, digit| {
        let sum = (product + u32::from(*digit)) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == u32::from(*check)
}

/// The dihedral check of J. Verhoeff (1969).
pub(crate) fn verhoeff(digits: &[u8]) -> bool {
    // The permutation has order 8 and is applied once more at each place.
    const PERMUTED: [[u8; 10]; 8] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
        [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
        [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
        [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
        [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
        [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
        [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
    ];
    let places = PERMUTED.iter().cycle();
    let sum = digits
        .iter()
        .rev()
        .zip(places)
        .fold(0, |sum, (digit, permuted)| dihedral(sum, permuted.get(usize::from(*digit)).copied().unwrap_or(0)));
    sum == 0
}

/// The product in the dihedral group of the pentagon: 0 to 4 turn, 5 to 9 turn and reflect.
fn dihedral(one: u8, other: u8) -> u8 {
    match (one < 5, other < 5) {
        (true, true) => (one + other) % 5,
        (true, false) => (one + other - 5) % 5 + 5,
        (false, true) => (one + 5 - other) % 5 + 5,
        (false, false) => (one + 5 - other) % 5,
    }
}

/// Whether month and day are ones a calendar has.
pub(super) fn is_day(month: u64, day: u64) -> bool {
    let longest = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=longest).contains(&day)
}

/// The digits from place `from`, `count` of them, as a number.
pub(super) fn part(digits: &[u8], from: usize, count: usize) -> u64 {
    number(digits.get(from..from + count).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Vec<u8> {
        text.bytes().map(|digit| digit - b'0').collect()
    }

    #[test]
    fn published_numbers_are_right_and_every_other_last_digit_is_wrong() {
        type Check = fn(&[u8]) -> bool;
        let checks: [(Check, &str); 4] =
            [(luhn, "79927398713"), (verhoeff, "2363"), (verhoeff, "1428570"), (mod_11_10, "07945")];
        for (check, number) in checks {
            let mut digits = digits(number);
            for last in 0..10 {
                *digits.last_mut().unwrap() = last;
                assert_eq!(check(&digits), number.ends_with(char::from(b'0' + last)), "{number} with {last}");
            }
        }
    }

    #[test]
    fn verhoeff_sees_every_wrong_digit_and_every_swap_of_neighbours() {
        let right = digits("31234567890");
        let right = (0..10).map(|last| [&right[..], &[last]].concat()).find(|digits| verhoeff(digits)).unwrap();
        for place in 0..right.len() {
            for other in (0..10).filter(|other| *other != right[place]) {
                let mut wrong = right.clone();
                wrong[place] = other;
                assert!(!verhoeff(&wrong));
            }
            let mut swapped = right.clone();
            if place > 0 && right[place] != right[place - 1] {
                swapped.swap(place, place - 1);
                assert!(!verhoeff(&swapped));
            }
        }
    }
}
