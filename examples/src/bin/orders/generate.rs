//! Made-up events, for trials and measurements: any line of any seed, without those before it.

/// How many customers there are in a new database, and in the events.
pub(crate) const CUSTOMERS: u64 = 1000;

/// What line `index` (from 0) is about.
enum Made {
    Order,
    /// Of the order that was made for that line.
    Cancel(u64),
    Fault(u64),
}

/// Line `index` (from 0), without its end: mostly orders, one in ten cancels an earlier order, and
/// one in a thousand has something wrong.
pub(crate) fn line(seed: u64, index: u64) -> Vec<u8> {
    let number = index + 1;
    let customer = customer(seed, index);
    let amount = 100 + lot(seed, index, 2) % 100_000;
    match made(seed, index) {
        Made::Order => order(number, customer, amount),
        Made::Cancel(of) => cancel(of + 1, self::customer(seed, of)),
        Made::Fault(which) => match which % 10 {
            0 => format!(r#"{{"event":"order","order":{number},"customer":"#).into_bytes(),
            1 => b"null".to_vec(),
            2 => format!(
                r#"{{"event":"order","order":{number},"customer":{customer},"amount":-{amount}}}"#
            )
            .into_bytes(),
            3 => order(number, CUSTOMERS + customer, amount),
            4 => format!(
                r#"{{"event":"order","order":{number},"customer":{customer},"ammount":{amount}}}"#
            )
            .into_bytes(),
            5 => cancel(number, customer),
            6 => [br#"{"event":"order","note":""#.as_slice(), b"\xff\xfe\"}"].concat(),
            7 => {
                let note = "x".repeat(20_000);
                format!(r#"{{"event":"order","order":{number},"note":"{note}"}}"#).into_bytes()
            }
            8 => {
                let again = index.saturating_sub(1);
                order(again + 1, self::customer(seed, again), amount)
            }
            _ => Vec::new(),
        },
    }
}

/// In each ten lines the last one cancels: an order of the same ten, or one of those 240 lines
/// before. So none is cancelled twice.
fn made(seed: u64, index: u64) -> Made {
    let drawn = lot(seed, index, 0);
    let (ten, place) = (index / 10, index % 10);
    if drawn.is_multiple_of(1000) {
        return Made::Fault(drawn >> 32);
    }
    let back = if ten.is_multiple_of(2) { 0 } else { 240 };
    let of = index.checked_sub(1 + (drawn >> 32) % 9 + back);
    match of {
        Some(of) if place == 9 => Made::Cancel(of),
        _ => Made::Order,
    }
}

fn customer(seed: u64, index: u64) -> u64 {
    1 + lot(seed, index, 1) % CUSTOMERS
}

fn order(number: u64, customer: u64, amount: u64) -> Vec<u8> {
    format!(r#"{{"event":"order","order":{number},"customer":{customer},"amount":{amount}}}"#)
        .into_bytes()
}

fn cancel(number: u64, customer: u64) -> Vec<u8> {
    format!(r#"{{"event":"cancel","order":{number},"customer":{customer}}}"#).into_bytes()
}

/// SplitMix64: a number that depends on nothing but these three.
fn lot(seed: u64, index: u64, draw: u64) -> u64 {
    let mut z = seed
        .wrapping_mul(0xD134_2543_DE82_EF95)
        .wrapping_add(index.wrapping_mul(3).wrapping_add(draw))
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
