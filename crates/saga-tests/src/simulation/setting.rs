//! How the shop is when it opens.

use std::time::Duration;

use fastrand::Rng;
use shipping::Carrier;

/// What of a run is fixed before its first step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    pub(super) stock: [i32; 2],
    /// How long stock is reserved; nobody looks at the clock, only at whether there is a time.
    pub(super) reservation_ttl: Option<Duration>,
    pub(super) carrier: Carrier,
}

const AT_ONCE: Carrier = Carrier::Simulated { delay: Duration::ZERO };
const LATER: Carrier = Carrier::Simulated { delay: Duration::from_secs(1) };

impl Setting {
    pub(super) fn drawn(rng: &mut Rng) -> Self {
        Self {
            stock: [rng.i32(3..20), rng.i32(3..20)],
            reservation_ttl: [None, Some(Duration::from_secs(3_600))][rng.usize(0..2)],
            carrier: [AT_ONCE, LATER, LATER, Carrier::Manual][rng.usize(0..4)],
        }
    }

    /// The same without what is out of the ordinary, one thing at a time.
    pub(super) fn simpler(self) -> [Self; 2] {
        [Self { reservation_ttl: None, ..self }, Self { carrier: AT_ONCE, ..self }]
    }

    /// How much of it is out of the ordinary.
    pub(super) fn oddity(self) -> u32 {
        u32::from(self.reservation_ttl.is_some()) + u32::from(self.carrier != AT_ONCE)
    }
}
