//! Tracking numbers.

use events::OrderId;

/// Douglas Crockford's base 32 (<https://www.crockford.com/base32.html>): no I, L, O and U, so that nothing is
/// mistaken for a digit when it is read out.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const DIGITS: u32 = 12;

/// The tracking number of an order's parcel: `WB`, 12 digits in base 32, and a check digit.
///
/// A function of the order alone, so that a dispatch that is decided anew has the same number. The digits are
/// the last 60 bits of the id, in UUIDv7 the part that is random: two parcels out of a million share a number
/// with a probability below one in a million.
pub(crate) fn number(order_id: OrderId) -> String {
    // The mask leaves 5 bits: an index into the alphabet.
    let bits = order_id.0.as_u128();
    let digits: Vec<usize> = (0..DIGITS).rev().map(|it| ((bits >> (5 * it)) & 31) as usize).collect();
    let all = digits.iter().copied().chain([check_digit(&digits)]);
    "WB".chars().chain(all.map(|digit| char::from(ALPHABET[digit]))).collect()
}

/// The Luhn algorithm modulo 32 (<https://en.wikipedia.org/wiki/Luhn_mod_N_algorithm>): any one wrong digit is
/// noticed.
fn check_digit(digits: &[usize]) -> usize {
    let weighted = digits.iter().rev().enumerate().map(|(place, digit)| {
        let product = if place % 2 == 0 { digit * 2 } else { *digit };
        product / 32 + product % 32
    });
    (32 - weighted.sum::<usize>() % 32) % 32
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[track_caller]
    fn check(order_id: &str, expected: &str) {
        assert_eq!(number(order_id.parse().unwrap()), expected);
    }

    #[test]
    fn a_number_is_a_function_of_the_order() {
        check("00000000-0000-0000-0000-000000000000", "WB0000000000000");
        check("00000000-0000-0000-0000-000000000001", "WB000000000001Y");
        check("0198c0de-7a10-7c3e-9d52-5b1f0e8a4c21", "WBTMJV3W78MK113");
    }

    #[test]
    fn the_time_in_an_id_is_left_out() {
        let (early, late) = (Uuid::from_u128(7), Uuid::from_u128(7 | 0xFFFF << 112));
        assert_eq!(number(OrderId(early)), number(OrderId(late)));
    }

    #[test]
    fn any_one_wrong_digit_is_noticed() {
        let digits = [29, 9, 10, 11, 24, 31, 1, 24, 20, 18, 12, 1];
        for place in 0..digits.len() {
            for wrong in (0..32).filter(|it| *it != digits[place]) {
                let mut misread = digits;
                misread[place] = wrong;
                assert_ne!(check_digit(&misread), check_digit(&digits), "{wrong} at {place}");
            }
        }
    }

    #[test]
    fn orders_placed_one_after_the_other_have_numbers_of_their_own() {
        let numbers: std::collections::HashSet<_> = (0..10_000).map(|_| number(OrderId::new())).collect();
        assert_eq!(numbers.len(), 10_000);
    }
}
