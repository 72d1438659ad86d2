//! What the pure core and the codec take from the heap, counted and not timed, so that it is the same on every machine
//! and at every load.
//!
//! Counted are the blocks that the test's own thread asks for, whatever other tests do meanwhile, and their bytes; a
//! block that grows counts anew. Everything is done once before it is counted: what a process makes once is no cost of an
//! order. A new compiler or library may move the counts as well as we do; the difference shows where.

use std::fmt;

use allocation_counter::measure;
use expect_test::{ExpectFile, expect_file};

use crate::pure::{self, Meter, Way};

/// What operations take: the blocks, and the bytes of all of them.
#[derive(Default)]
struct Taken {
    blocks: u64,
    bytes: u64,
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} blocks, {} B", self.blocks, self.bytes))
    }
}

/// A table of what is taken: each row's name with what its columns take.
#[derive(Default)]
struct Table(Vec<(&'static str, Vec<(&'static str, Taken)>)>);

/// The table's entry of that name, which is made where there is none.
fn entry<'a, T: Default>(of: &'a mut Vec<(&'static str, T)>, name: &'static str) -> &'a mut T {
    let place = of.iter().position(|it| it.0 == name).unwrap_or_else(|| {
        of.push((name, T::default()));
        of.len() - 1
    });
    &mut of[place].1
}

impl Meter for Table {
    fn count<T>(&mut self, row: &'static str, column: &'static str, operation: impl FnOnce() -> T) -> T {
        let mut outcome = None;
        let taken = measure(|| outcome = Some(operation()));
        let sum = entry(entry(&mut self.0, row), column);
        sum.blocks += taken.count_total;
        sum.bytes += taken.bytes_total;
        outcome.expect("it was measured")
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, cells: Vec<String>| {
            let cells: String = cells.iter().map(|it| format!("{it:<20}")).collect();
            writeln!(f, "{}", format!("{name:<26}{cells}").trim_end())
        };
        let head: Vec<String> =
            self.0.first().into_iter().flat_map(|it| &it.1).map(|it| it.0.to_owned()).collect();
        if head.iter().any(|it| !it.is_empty()) {
            row("", head)?;
        }
        self.0
            .iter()
            .try_for_each(|(name, cells)| row(name, cells.iter().map(|it| it.1.to_string()).collect()))
    }
}

/// Holds exactly what is taken the second time.
#[track_caller]
fn check(expected: ExpectFile, way: &impl Way) {
    way.go(&mut Table::default());
    let mut taken = Table::default();
    way.go(&mut taken);
    // The difference names what has moved; one that is meant is taken over by UPDATE_EXPECT=1.
    expected.assert_eq(&taken.to_string());
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "an optimiser may spare a block, and not the next one")]
fn an_order_takes() {
    check(expect_file!["allocations/order.txt"], &pure::order());
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "an optimiser may spare a block, and not the next one")]
fn its_stock_takes() {
    check(expect_file!["allocations/inventory.txt"], &pure::stock());
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "an optimiser may spare a block, and not the next one")]
fn its_payment_takes() {
    check(expect_file!["allocations/payment.txt"], &pure::payment());
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "an optimiser may spare a block, and not the next one")]
fn its_parcel_takes() {
    check(expect_file!["allocations/shipping.txt"], &pure::parcel());
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "an optimiser may spare a block, and not the next one")]
fn its_first_event_takes_on_its_way() {
    check(expect_file!["allocations/codec.txt"], &pure::codec());
}
