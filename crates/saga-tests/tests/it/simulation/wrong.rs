//! Deciders with one mistake each: what the simulation is worth.

mod early;

use engine::{Arrival, Decided, Decider, Decision, Publication, Recorded, Timestamp, Unreadable, Writes};
use events::CancelReason;
use saga_tests::simulation::{self, Cast, Deciders, Real};
use sqlx::PgConnection;

/// A decider that decides something else than the real one.
struct Wrong<D, F> {
    real: D,
    decide: F,
}

impl<D, F> Decider for Wrong<D, F>
where
    D: Decider,
    F: Fn(&D, &D::World, &D::Input, Timestamp) -> Decided<D> + Send + Sync + 'static,
{
    type Input = D::Input;
    type Event = D::Event;
    type World = D::World;
    type Reply = D::Reply;
    type Refusal = D::Refusal;

    const SERVICE: &'static str = D::SERVICE;
    const DEADLINES: &'static [&'static str] = D::DEADLINES;

    fn read(&self, event: &Arrival<'_>) -> Result<Option<D::Input>, Unreadable> {
        self.real.read(event)
    }

    fn due(&self, kind: &str, key: &str) -> Option<D::Input> {
        self.real.due(kind, key)
    }

    async fn load(&self, tx: &mut PgConnection, inputs: &[&D::Input]) -> sqlx::Result<D::World> {
        self.real.load(tx, inputs).await
    }

    fn decide(&self, world: &D::World, input: &D::Input, at: Timestamp) -> Decided<Self> {
        (self.decide)(&self.real, world, input, at)
    }

    fn evolve(&self, world: &mut D::World, event: &D::Event) {
        self.real.evolve(world, event);
    }

    fn reply(&self, world: &D::World, input: &D::Input) -> Option<D::Reply> {
        self.real.reply(world, input)
    }

    fn publish(&self, world: &D::World, event: &D::Event) -> Option<Publication> {
        self.real.publish(world, event)
    }

    fn save(&self, writes: &mut Writes, world: &D::World, events: &[Recorded<D::Event>]) {
        self.real.save(writes, world, events);
    }
}

/// The mistake breaks a law within so many schedules, one of `laws`, and it takes no more than `steps` to tell how,
/// from opening to end.
#[track_caller]
fn check_caught<C: Cast>(cast: impl Fn(Real) -> C, laws: &[&str], steps: usize) {
    let caught = (0..SEEDS).find_map(|seed| simulation::run_with(seed, &cast).err());
    let failure = caught.unwrap_or_else(|| panic!("not caught in {SEEDS} schedules"));
    assert!(laws.iter().any(|it| failure.law.contains(it)), "{failure}");
    let length = failure.chosen.len() + failure.followed.len();
    assert!(length <= steps, "{length} steps: {failure}");
    assert_eq!(simulation::run_with(failure.seed, &cast).err(), Some(failure), "the seed tells it again");
}

const SEEDS: u64 = 300;

#[test]
fn shipping_that_does_not_wait_for_stock_is_caught() {
    use shipping::{Input, Shipments};
    let decide = |real: &Shipments, world: &_, input: &Input, at| match input.clone() {
        Input::OrderConfirmed { order_id, ship_to, .. } => {
            real.decide(world, &Input::OrderConfirmed { order_id, ship_to, stock_expires: false }, at)
        }
        input => real.decide(world, &input, at),
    };
    let cast = |it: Real| Deciders {
        order: it.order,
        inventory: it.inventory,
        payment: it.payment,
        shipping: Wrong { real: it.shipping, decide },
    };
    check_caught(cast, &["a parcel has left without stock"], 20);
}

#[test]
fn inventory_whose_kept_stock_runs_out_is_caught() {
    use inventory::{Input, Inventory, State, World};
    let decide = |real: &Inventory, world: &World, input: &Input, at| match input {
        Input::OrderConfirmed(_) => Ok(Decision { deadlines: vec![], ..real.decide(world, input, at)? }),
        Input::ReservationDue(id) => match world.reservations.get(id).map(|it| &it.state) {
            Some(State::Kept { .. }) => real.decide(world, &Input::OrderCancelled(*id), at),
            _ => real.decide(world, input, at),
        },
        _ => real.decide(world, input, at),
    };
    let cast = |it: Real| Deciders {
        order: it.order,
        inventory: Wrong { real: it.inventory, decide },
        payment: it.payment,
        shipping: it.shipping,
    };
    check_caught(cast, &["stock"], 30);
}

#[test]
fn inventory_that_keeps_what_has_run_out_is_caught() {
    use inventory::{Fact, Input, Inventory, ReservationEvent, State, World};
    let decide = |real: &Inventory, world: &World, input: &Input, at| match input {
        Input::OrderConfirmed(id) => match world.reservations.get(id).map(|it| &it.state) {
            Some(State::Expired { .. }) => {
                Ok(Decision::events([Fact::Reservation(*id, ReservationEvent::Kept { had_time: true })]))
            }
            _ => real.decide(world, input, at),
        },
        _ => real.decide(world, input, at),
    };
    let cast = |it: Real| Deciders {
        order: it.order,
        inventory: Wrong { real: it.inventory, decide },
        payment: it.payment,
        shipping: it.shipping,
    };
    // It does not fit what it is told of, so it does not even have a number of its own.
    check_caught(cast, &["disorder on the log"], 45);
}

#[test]
fn payment_that_voids_nothing_is_caught() {
    use payment::{Input, Payments, State, World};
    let decide = |real: &Payments, world: &World, input: &Input, at| match input {
        Input::OrderCancelled(id)
            if matches!(world.payments.get(id).map(|it| &it.state), Some(State::Authorized(_))) =>
        {
            Ok(Decision::nothing())
        }
        _ => real.decide(world, input, at),
    };
    let cast = |it: Real| Deciders {
        order: it.order,
        inventory: it.inventory,
        payment: Wrong { real: it.payment, decide },
        shipping: it.shipping,
    };
    check_caught(cast, &["an end that is none"], 25);
}

#[test]
fn payment_that_forgets_a_cancellation_while_it_asks_is_caught() {
    use payment::{Input, Payments, State, World};
    let decide = |real: &Payments, world: &World, input: &Input, at| match input {
        Input::OrderCancelled(id)
            if matches!(world.payments.get(id).map(|it| &it.state), Some(State::Authorizing { .. })) =>
        {
            Ok(Decision::nothing())
        }
        _ => real.decide(world, input, at),
    };
    let cast = |it: Real| Deciders {
        order: it.order,
        inventory: it.inventory,
        payment: Wrong { real: it.payment, decide },
        shipping: it.shipping,
    };
    check_caught(cast, &["an end that is none"], 20);
}

#[test]
fn an_order_that_takes_no_notice_of_its_expiry_is_caught() {
    use order::{Input, Orders, State, World};
    let decide = |real: &Orders, world: &World, input: &Input, at| match input {
        Input::ReservationExpired(id)
            if matches!(world.orders.get(id).map(|it| &it.state), Some(State::Confirmed { .. })) =>
        {
            Ok(Decision::nothing())
        }
        _ => real.decide(world, input, at),
    };
    let cast = |it: Real| Deciders {
        order: Wrong { real: it.order, decide },
        inventory: it.inventory,
        payment: it.payment,
        shipping: it.shipping,
    };
    check_caught(cast, &["an end that is none", "compensation is not"], 45);
}

fn off(note: Option<String>, awaits_payment: bool) -> order::OrderEvent {
    order::OrderEvent::Cancelled { reason: CancelReason::Customer, note, awaits_payment }
}

#[test]
fn an_order_that_takes_silence_for_nothing_held_is_caught() {
    use order::{Fact, Input, Orders, State, World};
    let decide = |real: &Orders, world: &World, input: &Input, at| match input {
        Input::Cancel(id, note)
            if matches!(world.orders.get(id).map(|it| &it.state), Some(State::Placed { .. })) =>
        {
            Ok(Decision::events([Fact::Order(*id, off(note.clone(), false))]))
        }
        _ => real.decide(world, input, at),
    };
    let cast = |it: Real| Deciders {
        order: Wrong { real: it.order, decide },
        inventory: it.inventory,
        payment: it.payment,
        shipping: it.shipping,
    };
    check_caught(cast, &["money is not called pending that is held"], 15);
}

#[test]
fn an_order_that_does_not_ask_shipping_is_caught() {
    use order::{Fact, Input, Orders, State, World};
    let decide = |real: &Orders, world: &World, input: &Input, at| match input {
        Input::Cancel(id, note)
            if matches!(world.orders.get(id).map(|it| &it.state), Some(State::Confirmed { .. })) =>
        {
            let cancelled = off(note.clone(), true);
            Ok(Decision::events([Fact::Order(*id, cancelled)]))
        }
        _ => real.decide(world, input, at),
    };
    let cast = |it: Real| Deciders {
        order: Wrong { real: it.order, decide },
        inventory: it.inventory,
        payment: it.payment,
        shipping: it.shipping,
    };
    check_caught(cast, &["a parcel has left without stock"], 25);
}
