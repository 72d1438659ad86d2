use super::*;
use crate::repair::{
    proposal::{Command, What},
    send::{Sent, concluded, unless_mended},
};

fn refund(net: i64) -> Plan {
    let own = [intent("pi_own", net, net, 0)];
    planned(&report(&[Law::Known], vec![]), Some(account(None, None, &own)))
}

fn cancellation() -> Plan {
    planned(&report(&[Law::Ends], vec![]), Some(account(Status::Placed, None, &[])))
}

fn redrive() -> Plan {
    planned(&report(&[], vec![finding(Kind::Parked, "payment", "a key")]), None)
}

/// Whether the first command of a plan is sent when a fresh one is as given.
async fn is_sent(planned: Plan, fresh: anyhow::Result<Plan>) -> bool {
    let send = async |it: &Command| Sent {
        what: it.what,
        path: it.path.clone(),
        sent: true,
        done: true,
        answer: String::new(),
        advice: None,
    };
    unless_mended(&planned.proposals[0].command, async || fresh, send).await.sent
}

#[tokio::test]
async fn what_cannot_be_taken_back_is_sent_only_if_a_fresh_look_proposes_it_too() {
    for plan in [|| refund(1999), cancellation] {
        assert!(is_sent(plan(), Ok(plan())).await);
        assert!(!is_sent(plan(), Ok(Plan::default())).await);
        assert!(!is_sent(plan(), Ok(redrive())).await);
        assert!(!is_sent(plan(), Err(anyhow::anyhow!("a database is down"))).await);
    }
    assert!(!is_sent(refund(1999), Ok(refund(500))).await, "another amount");
    assert!(is_sent(redrive(), Ok(Plan::default())).await, "the inbox knows what was applied");
}

#[test]
fn a_refund_that_failed_is_left_to_a_person() {
    let told = |what, status| {
        let (done, advice) = concluded(what, status);
        (done, advice.is_some())
    };
    assert_eq!(told(What::Refund, "succeeded"), (true, false));
    assert_eq!(told(What::Refund, "pending"), (false, false));
    assert_eq!(told(What::Refund, "failed"), (false, true));
    assert_eq!(told(What::Refund, "canceled"), (false, true));
    assert_eq!(told(What::CancelIntent, "canceled"), (true, false));
}
