//! Parcels that could move, and have no deadline that moves them.

use bus::CloudEvent;
use events::{Event as _, EventType, ShipmentDelivered, ShipmentDispatched};
use uuid::Uuid;

use crate::{
    report::{Finding, Kind, MOST, Verdicts},
    seen::Leg,
};

/// The service by which parcels are moved.
const SERVICE: &str = "shipping";

/// The leg that shipping's carrier has carried a parcel on, by the event that tells so. A person who moves one is
/// its actor; the service itself is where a carrier has.
pub(crate) fn carried(event: &CloudEvent<'_>) -> Option<Leg> {
    let by_itself = event.actor.as_deref()?.strip_prefix("service:") == Some(SERVICE);
    match EventType::parse(&event.r#type).ok()?.name {
        _ if !by_itself => None,
        ShipmentDispatched::NAME => Some(Leg::Dispatch),
        ShipmentDelivered::NAME => Some(Leg::Deliver),
        _ => None,
    }
}

/// Who waits for a person is found where a carrier does it for others: its deadline is lost. Where people do it, that
/// is how parcels move, and no more than a number.
pub(crate) fn judge(waiting: &[(Uuid, Leg)], verdicts: &mut Verdicts) {
    let (found, by_people): (Vec<_>, Vec<_>) =
        waiting.iter().partition(|it| verdicts.carried.contains(&it.1));
    verdicts.awaiting_person += by_people.len() as u64;
    for (id, leg) in found.into_iter().take(MOST) {
        let text = format!(
            "it waits for a person to {leg} it, since it has no deadline, and a carrier moves others"
        );
        let (service, key) = (SERVICE.to_owned(), Some(id.to_string()));
        verdicts.findings.push(Finding { kind: Kind::Carrier, service, key, text });
    }
}

#[cfg(test)]
mod tests {
    use bus::Trace;

    use super::*;

    #[test]
    fn a_parcel_without_a_deadline_is_found_where_others_have_one() {
        let (stuck, sent) = (Uuid::now_v7(), Uuid::now_v7());
        let waiting = [(stuck, Leg::Dispatch), (sent, Leg::Deliver)];
        let found = |carried: &[Leg]| {
            let mut verdicts = Verdicts::default();
            verdicts.carried.extend(carried);
            judge(&waiting, &mut verdicts);
            let keys = verdicts.findings.iter().map(|it| (it.kind, it.key.clone().unwrap()));
            (keys.collect::<Vec<_>>(), verdicts.awaiting_person)
        };
        assert_eq!(found(&[]), (vec![], 2));
        assert_eq!(found(&[Leg::Dispatch]), (vec![(Kind::Carrier, stuck.to_string())], 1));
        assert_eq!(found(&[Leg::Deliver]), (vec![(Kind::Carrier, sent.to_string())], 1));
        assert_eq!(found(&[Leg::Dispatch, Leg::Deliver]).1, 0);
    }

    #[track_caller]
    fn check(r#type: &str, actor: Option<&str>, expected: Option<Leg>) {
        let event = CloudEvent {
            id: Uuid::now_v7(),
            source: "/waybill/shipping".into(),
            r#type: r#type.into(),
            subject: None,
            time: None,
            sequence: None,
            correlation_id: None,
            causation_id: None,
            actor: actor.map(Into::into),
            trace: Trace::default(),
            data: b"{}".as_slice().into(),
        };
        assert_eq!(carried(&event), expected);
    }

    #[test]
    fn the_actor_tells_who_has_moved_a_parcel() {
        check(ShipmentDispatched::TYPE, Some("service:shipping"), Some(Leg::Dispatch));
        check(ShipmentDelivered::TYPE, Some("service:shipping"), Some(Leg::Deliver));
        check(ShipmentDispatched::TYPE, Some("clerk:7"), None);
        check(ShipmentDispatched::TYPE, None, None);
        check(events::ShipmentScheduled::TYPE, Some("service:shipping"), None);
    }
}
